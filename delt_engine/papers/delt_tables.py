"""Tables and figures of DELT.

Source: DELT Tables 1 to 12 and Figures 1 to 12, captions in our words. Figures 1 and 3 to 5 draw the method.
"""

from __future__ import annotations

from delt_engine.papers.table_record import IN1K, PaperTable, shown

_ABSENT = "Methods that match trajectories or distributions (MTT, IDM, TESLA, DATM) are not here: printed values only."
_AT_GPU = "The paper's hours are of one RTX 4090; ours are of the device that each run names."

DELT_TABLES: tuple[PaperTable, ...] = (
    PaperTable(
        "delt-1",
        "Comparison with SRe²L and RDED on five datasets",
        "Top-1 of ResNet-18, ResNet-101 and MobileNet-V2 trained on the images of each method. One image a class has "
        "no rounds: it gets a constant number of iterations.",
        ("dataset", "ipc"),
        ("student", "method"),
        ("method",),
        shows=shown(
            ("ipc", (1, 10, 50)),
            ("method", ("random", "cda", "cda-init")),
            **{"dataset": "cifar10", "student": "resnet18", "metric": "top1"},
        ),
        note="On CIFAR-10 random real images, CDA and CDA from real patches stand beside, learned from as DELT's are; "
        "the table has none of them.",
    ),
    PaperTable(
        "delt-2",
        "Comparison on ConvNets",
        "Top-1 of Conv-4 (Tiny-ImageNet, ImageNet-1K) and Conv-6 (ImageNet-100).",
        ("dataset", "ipc"),
        ("method",),
        ("method",),
        note=_ABSENT,
    ),
    PaperTable(
        "delt-3",
        "EarlyLate without real images to start from",
        "ImageNet-1K, 50 images a class, all from noise: SRe²L, CDA, and CDA with images joining in rounds.",
        ("dataset",),
        ("method",),
        ("method",),
        note="46.8 and 53.5 are CDA Table 4's: here students learn from SRe²L's and CDA's images as those papers train "
        "them, and from CDA + EarlyLate's as DELT does.",
    ),
    PaperTable(
        "delt-4a",
        "Number of patches an image starts from",
        "Mosaics of 1x1 to 5x5 patches, ResNet-18 on ImageNet-1K, 50 images a class, 500 iterations.",
        ("patches",),
        ("dataset",),
        ("patches",),
        note="500 iterations are taken as MI, so there is one round; the numbers equal CDA + real init of Table 9.",
    ),
    PaperTable(
        "delt-4b",
        "Which patches images start from",
        "Patches of the lowest, medium or highest probability of their class under the teacher.",
        ("selection",),
        ("dataset",),
        ("selection",),
        note="MI is not printed and 4,000 is taken. Medium patches have 57.67 here and 59.2 in Table 1, so the paper's "
        "may be Table 4a's 500 iterations.",
    ),
    PaperTable(
        "delt-4c",
        "Maximum and round iterations",
        "MI, what the first images get, against RI, the gap between two rounds; ImageNet-1K, 10 images a class.",
        ("MI",),
        ("RI",),
        ("MI", "RI"),
        note="The text says that RI 1K is not feasible with MI 1K, yet the table prints 43.71 there.",
    ),
    PaperTable(
        "delt-4d",
        "EarlyLate against equal iterations",
        "From the same real patches: CDA (all images get MI iterations) and DELT; 10 images a class.",
        ("dataset",),
        ("method",),
        ("method",),
    ),
    PaperTable(
        "delt-4e",
        "Against stitched real images and a diffusion model",
        "ImageNet-1K: RDED's real patches, MinimaxDiffusion's images, and DELT.",
        ("ipc",),
        ("method",),
        ("method",),
        note="MinimaxDiffusion needs a diffusion model and is not here: printed values only.",
    ),
    PaperTable(
        "delt-5",
        "Students that had no part in the recovery",
        "Images recovered with ResNet-18 on ImageNet-1K, 10 images a class, tested on five students.",
        ("method",),
        ("student",),
        ("method",),
        note="Some values differ from Table 1 (SRe²L with ResNet-18: 41.9 here, 21.3 there), so the students of SRe²L, "
        "CDA and G-VBSM are trained as DELT's. G-VBSM recovers from the four networks of its code for ImageNet-1K; "
        "runs with another committee count as well.",
    ),
    PaperTable(
        "delt-6",
        "Hours of synthesis",
        "Hours for 50 images a class at 4,000 iterations, on one RTX 4090.",
        ("method", "RI"),
        ("dataset",),
        ("method", "RI"),
        note=f"{_AT_GPU} G-VBSM's hours grow with the networks in its committee.",
    ),
    PaperTable(
        "delt-7",
        "Data-free pruning",
        "Top-1 of a VGG11-BN that lost half of its weights by slimming.",
        ("ipc",),
        ("method",),
        ("method",),
        note="The table prints neither dataset nor training, so no run here has its settings: printed values only. "
        "`delt prune` and the page Applications measure the same question on any dataset: slimming of a VGG11-BN at "
        "50 % on a finished run. Its network was likely torchvision's for ImageNet-1K.",
    ),
    PaperTable("delt-8", "Settings", "Settings of recovery and of student training, and the iterations at one image."),
    PaperTable(
        "delt-9",
        "EarlyLate with mosaics",
        "ImageNet-1K, 50 images a class, from mosaics of 2x2 to 5x5 patches: SRe²L, CDA, and CDA with EarlyLate.",
        ("patches",),
        ("method",),
        ("method",),
        note="MI is not printed and 4,000 is taken. The middle column has Table 4a's numbers, which are of 500 "
        "iterations.",
    ),
    PaperTable(
        "delt-10",
        "Order in which the same patches join",
        "ImageNet-100: the medium patches, joining at random, by rising or falling probability, or from the median on.",
        ("order",),
        ("dataset",),
        ("order",),
    ),
    PaperTable(
        "delt-11",
        "Other patches to start from",
        "As Table 10, but each order takes its own patches: random ones, the lowest, the highest, or the medium ones.",
        ("selection",),
        ("dataset",),
        ("selection",),
    ),
    PaperTable(
        "delt-12",
        "Range of the random crops",
        "Smallest to largest area of the crops that the teacher sees during recovery.",
        ("crop",),
        ("dataset",),
        ("crop",),
    ),
    PaperTable(
        "delt-fig1",
        "Iterations of all images and of EarlyLate",
        "N images of N x T iterations, and the fewer of images that join in rounds.",
        note="A drawing. `delt cost` and the page Recover count the iterations of any MI, RI and IPC.",
    ),
    PaperTable(
        "delt-fig2",
        "Similarity within a class",
        "Mean cosine of the features of a class's images, in a ResNet-18 trained on ImageNet-1K; lower is more varied.",
        ("method",),
        ("dataset",),
        shows=shown(("method", ("sre2l", "cda", "delt")), metric="cosine", **IN1K),
        note="The figure prints no numbers: the claim is that DELT is lowest. The right half shows images.",
    ),
    PaperTable(
        "delt-fig3",
        "Batch-to-batch and batch-to-global matching",
        "What synthetic images are matched with: real batches again and again, or a frozen teacher.",
        note="A drawing. The page Early vs late has it as a lesson, on images of both kinds.",
    ),
    PaperTable(
        "delt-fig4",
        "EarlyLate in rounds",
        "Images that join round by round, from the ranked patches to the last iteration.",
        note="A drawing. The page Recover draws the rounds of any MI, RI and IPC; Early vs late has them as lessons.",
    ),
    PaperTable(
        "delt-fig5",
        "Selection with a ranker",
        "Patches sorted by their probability under a teacher, and those around the median that are taken.",
        note="A drawing. `delt rank`, `delt select` and the page Patches do it on any images.",
    ),
    PaperTable(
        "delt-fig6",
        "Mosaics as start images",
        "Start images and results of mosaics of 3x3 to 6x6 patches, early ones above late ones.",
        ("patches",),
        ("dataset",),
        shows=shown(("patches", ("3x3", "4x4", "5x5", "6x6")), metric="images", method="delt", **IN1K),
    ),
    PaperTable(
        "delt-fig7",
        "Images of the methods beside each other",
        "Synthetic images of one class of ImageNet-1K by each method.",
        ("method",),
        ("dataset",),
        shows=shown(
            ("method", ("rded", "minimax-diffusion", "mtt", "idc", "sre2l", "scdd", "cda", "gvbsm", "delt")),
            metric="images",
            **IN1K,
        ),
        note="A method that is not here has its row filled by a set that is imported under its name, as "
        "`delt import images.pt --dataset imagenet-1k --method-name MTT`.",
    ),
    PaperTable(
        "delt-fig8",
        "Continual learning",
        "Accuracy over the classes learned so far, ImageNet-1K in 100 steps.",
        note="The figure prints no numbers; `delt continual` and the page Applications measure it on any images.",
    ),
    *(
        PaperTable(
            f"delt-fig{number}",
            f"Images of {title}",
            "One class a column, from long optimisation at the top to short at the bottom.",
            ("dataset",),
            ("method",),
            shows=shown(metric="images", method="delt", dataset=dataset, ipc=10, teacher="resnet18"),
        )
        for number, title, dataset in (
            (9, "Tiny-ImageNet", "tiny-imagenet"),
            (10, "ImageNette", "imagenette"),
            (11, "CIFAR-10", "cifar10"),
        )
    ),
    PaperTable(
        "delt-fig12",
        "Hours of synthesis over images a class",
        "One panel: DELT (RI 500), G-VBSM, and CDA or SRe²L; the other: DELT at RI 500 and 1,000, and CDA or SRe²L.",
        ("method", "RI"),
        ("ipc",),
        ("method", "RI"),
        shows=tuple(
            {**row, "ipc": ipc, "metric": "hours", "dataset": "imagenet-1k", "teacher": "resnet18", "MI": "4000"}
            for row in (
                {"method": "gvbsm"},
                {"method": "cda"},
                {"method": "delt", "RI": "1000"},
                {"method": "delt", "RI": "500"},
            )
            for ipc in (1, 10, 50, 100)
        ),
        note=f"The figure prints no numbers; those of Table 6 are its points at 50 images a class. {_AT_GPU}",
    ),
)
"""In the order of the paper, tables before figures."""
