"""EarlyLate's claim in numbers and words: a class made by DELT is less alike than one made by CDA or SRe2L.

The claim is about the class as a whole at equal IPC, MI and teacher. Inside one DELT run the late half is often *more*
alike than the early one: its images have stayed near their patches. What spreads the class is the mix of both.

Source: DELT Sec. 1 and Fig. 2, left (mean cosine of each image to its class's centroid); pairs of halves are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class ClassSet:
    """One method's images of a run: by class the mean cosine to the class's centroid; 1 is identical."""

    method: str
    title: str
    run: str
    alike: Mapping[str, float]

    @cached_property
    def mean(self) -> float:
        """Mean over all classes."""
        return sum(self.alike.values()) / len(self.alike)


@dataclass(frozen=True)
class Pairs:
    """Inside the DELT run, by class, the mean cosine of all pairs of two early, two late, and one of each."""

    early: Mapping[str, float]
    late: Mapping[str, float]
    mixed: Mapping[str, float]


@dataclass(frozen=True)
class Claim:
    """DELT's images beside those of other methods, made under the same settings and measured in one space.

    ``space`` names it in words; ``settings`` say what is equal; ``elsewhere`` has the means by method in other spaces.
    """

    delt: ClassSet
    others: tuple[ClassSet, ...]
    pairs: Pairs | None
    space: str
    settings: str
    elsewhere: Mapping[str, Mapping[str, float]]

    @property
    def sets(self) -> tuple[ClassSet, ...]:
        """DELT's first."""
        return (self.delt, *self.others)

    @property
    def baseline(self) -> ClassSet:
        """What the prediction holds DELT against."""
        return self.others[0]

    def more_alike(self, class_name: str) -> str:
        """Return the method whose images of a class are more alike: DELT's or the baseline's."""
        return max((self.delt, self.baseline), key=lambda one: one.alike[class_name]).method

    def agrees(self, other: ClassSet) -> int:
        """Return in how many classes DELT's images are less alike than another method's."""
        return sum(self.delt.alike[name] < other.alike[name] for name in self.delt.alike)


def answer_text(claim: Claim, class_name: str) -> str:
    """Return what was measured of one class."""
    more = claim.baseline if claim.more_alike(class_name) == claim.baseline.method else claim.delt
    less = claim.delt if more is claim.baseline else claim.baseline
    return (
        f"{more.title}'s images of {class_name} are more alike: {more.alike[class_name]:.3f} against "
        f"{less.alike[class_name]:.3f} for {less.title}"
    )


def overall_text(claim: Claim) -> str:
    """Return whether the claim holds over all classes, with how many agree."""
    n, delt = len(claim.delt.alike), claim.delt
    parts = []
    for other in claim.others:
        is_less = delt.mean < other.mean
        parts.append(
            f"{'less' if is_less else 'not less'} alike than {other.title}'s ({other.mean:.3f}), "
            f"with {claim.agrees(other)} of {n} classes agreeing"
        )
    return f"Over all classes DELT's images ({delt.mean:.3f}) are " + "; they are ".join(parts) + "."


def inside_text(pairs: Pairs) -> str:
    """Return which half is more alike inside the DELT run, and that the mix is what spreads a class."""
    early, late, mixed = means(pairs)
    n, more = len(pairs.late), sum(pairs.late[name] > pairs.early[name] for name in pairs.late)
    if late > early:
        text = f"two late images are more alike ({late:.3f}) than two early ones ({early:.3f})"
        text += f", in {more} of {n} classes"
    else:
        text = f"two early images are more alike ({early:.3f}) than two late ones ({late:.3f})"
        text += f", in {n - more} of {n} classes"
    if mixed < min(early, late):
        return (
            f"Here {text}. Least alike on average are an early and a late one ({mixed:.3f}): the mix spreads the class."
        )
    return f"Here {text}. An early and a late one have {mixed:.3f}."


def origin_text(claim: Claim) -> str:
    """Return how the numbers were measured, and of which runs."""
    runs = ", ".join(one.run for one in claim.sets)
    return (
        f"Mean cosine similarity of each image to the centre of its class, in {claim.space}; 1 is identical. Inside "
        f"the DELT run the same of all pairs. Runs {runs}: {claim.settings}."
    )


def elsewhere_text(claim: Claim) -> str:
    """Return the means in other spaces, "" where there are none."""
    parts = []
    for space, found in claim.elsewhere.items():
        values = ", ".join(f"{one.title} {found[one.method]:.3f}" for one in claim.sets)
        parts.append(f"In {space}: {values}.")
    return " ".join(parts)


WHY = (
    "A late image gets few iterations: it stays near its patch, patches of one class can look much alike, and it has "
    "gained little of what the teacher knows the class by. An early image has gone far from its patch. Each half alone "
    "can be alike, but the two differ from each other. With all iterations for every image there is one kind only."
)


def means(pairs: Pairs) -> tuple[float, float, float]:
    """Return the means over all classes: two early, two late, one of each."""
    early, late, mixed = (sum(by.values()) / len(by) for by in (pairs.early, pairs.late, pairs.mixed))
    return early, late, mixed
