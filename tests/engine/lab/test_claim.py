"""EarlyLate's claim in words: the numbers as given, and no claim where they do not bear it out."""

from __future__ import annotations

from delt_engine.lab.claim import (
    Claim,
    ClassSet,
    Pairs,
    answer_text,
    elsewhere_text,
    inside_text,
    means,
    origin_text,
    overall_text,
)
from delt_engine.plots.claim import NARROWEST, claim_dots, pair_dots

PAIRS = Pairs({"cat": 0.6, "dog": 0.8}, {"cat": 0.9, "dog": 0.7}, {"cat": 0.5, "dog": 0.6})


def claim(delt=(0.7, 0.9), cda=(0.8, 0.95), sre2l=(0.6, 0.7)) -> Claim:
    def made(method: str, title: str, values: tuple[float, float]) -> ClassSet:
        return ClassSet(method, title, f"photos-{method}", dict(zip(("cat", "dog"), values, strict=True)))

    others = (made("cda", "CDA", cda), made("sre2l", "SRe²L", sre2l))
    elsewhere = {"the normalised pixels": {"delt": 0.4, "cda": 0.5, "sre2l": 0.6}}
    return Claim(made("delt", "DELT", delt), others, PAIRS, "the features of the teacher", "MI 40, seed 0", elsewhere)


def test_the_claim_is_told_of_one_class_and_of_all() -> None:
    found = claim()
    assert found.more_alike("cat") == "cda"
    assert answer_text(found, "cat") == "CDA's images of cat are more alike: 0.800 against 0.700 for DELT"
    assert [found.agrees(one) for one in found.others] == [2, 0]
    assert overall_text(found) == (
        "Over all classes DELT's images (0.800) are less alike than CDA's (0.875), with 2 of 2 classes agreeing; they "
        "are not less alike than SRe²L's (0.650), with 0 of 2 classes agreeing."
    )
    assert claim(delt=(0.9, 0.9)).more_alike("cat") == "delt"
    assert "photos-delt, photos-cda, photos-sre2l: MI 40, seed 0" in origin_text(found)
    assert elsewhere_text(found) == "In the normalised pixels: DELT 0.400, CDA 0.500, SRe²L 0.600."


def test_halves_are_told_as_they_are() -> None:
    assert [round(value, 3) for value in means(PAIRS)] == [0.7, 0.8, 0.55]
    said = inside_text(PAIRS)
    assert "two late images are more alike (0.800) than two early ones (0.700), in 1 of 2 classes" in said
    assert "an early and a late one (0.550): the mix spreads the class" in said
    turned = inside_text(Pairs(PAIRS.late, PAIRS.early, {"cat": 0.9, "dog": 0.9}))
    assert "two early images are more alike (0.800) than two late ones (0.700), in 1 of 2 classes" in turned
    assert "mix spreads" not in turned


def test_figures_show_every_class_on_an_axis_that_does_not_exaggerate() -> None:
    figure = claim_dots(claim(delt=(0.981, 0.982), cda=(0.983, 0.984), sre2l=(0.985, 0.99)), "cat")
    low, high = figure.layout.xaxis.range
    assert high - low >= NARROWEST
    assert list(figure.layout.yaxis.ticktext) == ["<b>cat</b>", "dog"]
    _, *dots = figure.data
    assert [list(trace.x) for trace in dots] == [[0.981, 0.982], [0.983, 0.984], [0.985, 0.99]]
    _, early, late, mixed = pair_dots(PAIRS).data
    assert [list(trace.x) for trace in (early, late, mixed)] == [[0.6, 0.8], [0.9, 0.7], [0.5, 0.6]]


def test_of_many_classes_those_that_differ_most_are_drawn() -> None:
    names = [f"class {number}" for number in range(100)]
    early, late = ({name: 0.01 * number * gap for number, name in enumerate(names)} for gap in (0.5, 1))
    figure = pair_dots(Pairs(early, late, early), "class 50")
    assert list(figure.layout.yaxis.ticktext) == [*names[:20], "<b>class 50</b>", *names[-20:]]
