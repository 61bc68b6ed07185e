"""The words of the early-versus-late tour: what each lesson shows, and what to ask a class. App and file share them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lesson:
    """One step of the tour: its title, a short one for narrow places, what is shown, and what to ask a class."""

    title: str
    short: str
    text: str
    ask: str
    of_run: str = ""
    """What is said in place of ``text`` where a run is shown, which has no twins."""


LESSONS = (
    Lesson(
        "One patch",
        "Patch",
        "A real patch, and the same patch after each iteration of optimisation. The trained teacher never changes; "
        "only these pixels do.",
        "When is it no longer a photograph for you? And what does the teacher think of it then?",
    ),
    Lesson(
        "Early and late twins",
        "Twins",
        "The same patch joins the same run in different rounds. Companions, crops, learning rate and seed are "
        "the same; only its start differs.",
        "Which one still shows its photograph at the end, and why?",
        "The first image to join in each round of a run. Learning rate and crops are the same; patches and starts "
        "differ. The recorded lab has the same patch in every round.",
    ),
    Lesson(
        "What a late image gets",
        "Late",
        "Learning rate and smallest crop fall over the whole run. A late image meets them where they stand by then: "
        "small steps, small crops.",
        "If the last image got the first iterations of the run instead of the last ones, would it look the same?",
    ),
    Lesson(
        "Predict, then reveal",
        "Predict",
        "In DELT the images of a class join one after the other; in CDA and SRe²L all of them get every iteration. "
        "Here is one class made by each, with the same teacher and MI.",
        "Whose images of this class are more alike: DELT's or CDA's?",
    ),
    Lesson(
        "Inside one iteration",
        "Inside",
        "Every iteration does the same six things. Step through one at the beginning, in the middle and near the end.",
        "Which stage makes late iterations gentle?",
    ),
    Lesson(
        "Batch to batch, batch to global",
        "Batches",
        "Two ways to give synthetic images what real ones have, from the same patches: match batches of real images "
        "again and again, or what a network that was trained once remembers of all of them.",
        "Which of the two would you take for 1,000 classes, and which for ten?",
    ),
    Lesson(
        "Near its photograph",
        "Privacy",
        "Each synthetic image is looked up among all training images, and its nearest one is shown. Where that is the "
        "photograph it started from, the image gives it away.",
        "Which images would you not publish if the photographs were of people?",
    ),
    Lesson(
        "Take it home",
        "Save",
        "The lessons as one file that needs no installation, a film strip for a slide, an animation for a web page.",
        "What would you show to explain early and late in ten seconds?",
    ),
)

IN_THE_FILE = LESSONS[:4]
"""Those that stand in the lab as one file."""
