"""Tables and figures of CDA.

Source: CDA Tables 1 to 21 and Figures 1 to 11, captions in our words. Figures 3 and 4 draw the method, 8 to 11 show
more images.
"""

from __future__ import annotations

from delt_engine.papers.table_record import IN1K, PaperTable, shown

_TEACHERS = "CDA's teachers on ImageNet-21K began with ImageNet-1K's weights, ours begin at random."

CDA_TABLES: tuple[PaperTable, ...] = (
    PaperTable(
        "cda-1",
        "CIFAR-100",
        "Top-1 at 1, 10 and 50 images a class; CDA's students are trained for 800 epochs.",
        ("ipc",),
        ("method",),
        ("ipc",),
        note="DM and DC are matched and trained without DSA's augmentation here; DSA and MTT: printed values only.",
    ),
    PaperTable(
        "cda-2",
        "Constant crops",
        "Easy: crops from alpha to the whole image; hard: crops from 0.08 to alpha. ImageNet-1K, 1,000 iterations.",
        ("type",),
        ("alpha",),
        ("alpha",),
        note="The starred 44.90 stands in both rows: it is SRe²L, reproduced.",
    ),
    PaperTable(
        "cda-3",
        "Reverse curriculum",
        "The default crops first, the whole image after the milestone. ImageNet-1K, 1,000 iterations.",
        ("milestone",),
        ("dataset",),
        ("milestone",),
    ),
    PaperTable(
        "cda-4",
        "CDA against SRe²L",
        "Tiny-ImageNet, ImageNet-1K and ImageNet-21K, students ResNet-18, -50 and -101.",
        ("dataset", "ipc"),
        ("student", "method"),
        ("method",),
        note="SRe²L on ImageNet-21K is CDA's reproduction: CDA's settings, one range of crops. " + _TEACHERS,
    ),
    PaperTable(
        "cda-5",
        "Teachers on ImageNet-21K-P",
        "Top-1 and top-5 of ResNet-18 and -50, begun from ImageNet-1K's weights or at random.",
        ("student", "recipe", "init"),
        ("metric",),
        ("init",),
        note="The recipe of Ridnik et al. and a start from ImageNet-1K's weights are not here: printed values only.",
    ),
    PaperTable(
        "cda-6",
        "Batch size of the student",
        "ResNet-18 on distilled ImageNet-21K, 140 epochs.",
        ("batch_size",),
        ("dataset",),
        ("batch_size",),
        note=_TEACHERS,
    ),
    PaperTable(
        "cda-7",
        "Students on ImageNet-1K",
        "50 images a class, recovered with ResNet-18 or DenseNet-121, tested on seven students.",
        ("teacher", "method"),
        ("student",),
        ("teacher", "method"),
        note="The row of DenseNet-121 takes the better of two relabelling networks, those of Table 19.",
    ),
    PaperTable(
        "cda-8",
        "Students on ImageNet-21K",
        "20 images a class, recovered with ResNet-18 or ResNet-50, tested on five students.",
        ("teacher",),
        ("student",),
        ("teacher",),
        note=_TEACHERS,
    ),
    PaperTable(
        "cda-9",
        "What an outside network says of the images",
        "MobileNet-V2's top-1 on CDA's, SRe²L's and real images of ImageNet-1K: whole, and mean of ten random crops.",
        ("method",),
        ("metric",),
        ("method",),
        shows=shown(("method", ("sre2l", "cda", "real")), ("metric", ("whole", "crops")), **IN1K),
        note="The paper's text has the claim (CDA's are nearest to real images), our copy has no numbers. "
        "Of real images at most 100 a class are taken.",
    ),
    PaperTable("cda-10", "Settings on CIFAR-100", "Settings of squeeze, recovery and student training."),
    PaperTable(
        "cda-11",
        "Lower bound of the crops on CIFAR-100",
        "Where the curriculum ends; 50 images a class, 800 epochs.",
        ("crop_lower",),
        ("dataset",),
        ("crop_lower",),
    ),
    PaperTable("cda-12", "Settings on Tiny-ImageNet", "Settings of squeeze, recovery and student training."),
    PaperTable(
        "cda-13",
        "Epochs of the student on Tiny-ImageNet",
        "200, 400 and 800 epochs at 1 to 50 images a class.",
        ("ipc",),
        ("method", "epochs"),
        ("epochs",),
        note="DM is matched and trained without DSA's augmentation here; MTT: printed values only.",
    ),
    *(
        PaperTable(
            f"cda-{number}",
            f"Continual learning in {steps} steps",
            "Tiny-ImageNet, 100 images a class: top-1 over the classes learned so far.",
            ("method",),
            ("classes",),
            ("method",),
            note="The paper prints neither class orders nor the students' training; here are three orders.",
        )
        for number, steps in ((14, 5), (15, 10))
    ),
    PaperTable("cda-16", "Settings on ImageNet-1K", "Settings of squeeze, recovery and student training."),
    PaperTable(
        "cda-17",
        "CDA at 1,000 and 4,000 iterations",
        "ImageNet-1K, 50 images a class, five students.",
        ("method", "recovery_iterations"),
        ("student",),
        ("method", "recovery_iterations"),
    ),
    PaperTable(
        "cda-18",
        "Curriculum and milestone",
        "Step, linear and cosine curricula that end at 0.1 to 1 of the iterations. ImageNet-1K, 1,000 iterations.",
        ("scheduler",),
        ("milestone",),
        ("milestone",),
    ),
    PaperTable(
        "cda-19",
        "Which network relabels",
        "Images recovered with DenseNet-121, labels of ResNet-18 or DenseNet-121, seven students.",
        ("relabel",),
        ("student",),
        ("relabel",),
    ),
    PaperTable(
        "cda-20",
        "Students of many kinds",
        "ImageNet-1K, 50 images a class: top-1 and millions of parameters.",
        ("student",),
        ("metric",),
        ("student",),
    ),
    PaperTable("cda-21", "Settings on ImageNet-21K", "Settings of squeeze, recovery and student training."),
    PaperTable(
        "cda-fig1",
        "CDA beside SRe²L",
        "Bars of Table 17: five students on ImageNet-1K.",
        ("method", "recovery_iterations"),
        ("student",),
        ("method", "recovery_iterations"),
        numbers=("Table 17",),
    ),
    PaperTable(
        "cda-fig2",
        "Where crops fall",
        "Centres and boxes of random crops for different lower and upper bounds of their area.",
        note="It shows no trained image: 1,000 seeded crops for each pair of bounds of Table 2, from hard to easy.",
    ),
    PaperTable(
        "cda-fig3",
        "Curriculum data synthesis",
        "Images that a frozen teacher sees through ever smaller crops.",
        note="A drawing. `delt recover --method cda` and the page Recover do it.",
    ),
    PaperTable(
        "cda-fig4",
        "Schedules of the smallest crop",
        "Step, linear and cosine curricula over the iterations.",
        note="A drawing. The page Recover draws the smallest crop of any curriculum and milestone.",
    ),
    PaperTable(
        "cda-fig5",
        "Curriculum and milestone as lines",
        "Lines of Table 18.",
        ("scheduler",),
        ("milestone",),
        ("milestone",),
        numbers=("Table 18",),
    ),
    PaperTable(
        "cda-fig6",
        "Images while they are recovered",
        "ImageNet-21K's class Plant by SRe²L and CDA after 100, 500, 1,000 and 2,000 iterations.",
        ("method",),
        ("dataset",),
        shows=shown(
            ("method", ("sre2l", "cda")),
            **{"metric": "images", "dataset": "imagenet-21k", "ipc": 1, "teacher": "resnet18", "RI": "100"},
        ),
        note="All classes are recovered, for a batch is of 100 of them.",
    ),
    PaperTable(
        "cda-fig7",
        "Continual learning as lines",
        "Lines of Tables 14 and 15.",
        ("method",),
        ("steps", "classes"),
        ("method",),
        numbers=("Table 14", "Table 15"),
        note="Measured with Tables 14 and 15.",
    ),
    *(
        PaperTable(
            f"cda-fig{number}",
            title,
            caption,
            note=f"Images of runs, no numbers. The page Gallery shows those of any run; `{command}` makes such.",
        )
        for number, title, caption, command in (
            (
                8,
                "More images while they are recovered",
                "Four classes of ImageNet-21K by SRe²L and CDA after 100 to 2,000 iterations.",
                "delt reproduce cda-fig6",
            ),
            (
                9,
                "Images of ImageNet-1K",
                "CDA's images of ImageNet-1K.",
                "delt reproduce cda-4 --only dataset=imagenet-1k,method=cda",
            ),
            (
                10,
                "Images of ImageNet-21K by ResNet-18",
                "CDA's images of ImageNet-21K, recovered with ResNet-18.",
                "delt reproduce cda-8 --only teacher=resnet18",
            ),
            (
                11,
                "Images of ImageNet-21K by ResNet-50",
                "CDA's images of ImageNet-21K, recovered with ResNet-50.",
                "delt reproduce cda-8 --only teacher=resnet50",
            ),
        )
    ),
)
"""In the order of the paper, tables before figures."""
