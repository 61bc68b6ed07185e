"""Whatever settings and parsers are given, they take it and give it back, or refuse it in one sentence."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from delt_engine.bench.fuzz_cases import RECORDS
from delt_engine.config import EvaluateConfig, Experiment, FieldSpec, RecoverConfig, SqueezeConfig, field_specs
from delt_engine.config.command_line import join_names, split_names
from delt_engine.config.doubts import doubts
from delt_engine.errors import MOST_LETTERS, ConfigError
from delt_engine.files import guarded, unguarded
from delt_engine.patches.selection import Patch, SelectedImage, read_selection, write_selection
from delt_engine.runs.events import NoteEvent, from_line, to_line

quick = how(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=800),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def allowed(spec: FieldSpec) -> st.SearchStrategy:
    """Values that a setting takes, as far as it says so itself."""
    kinds = {
        "bool": st.booleans(),
        "choice": st.sampled_from(spec.choices or (spec.default,)),
        "int": st.integers(int(spec.minimum or 0), int(spec.maximum or 10**6)),
        "float": st.floats(spec.minimum or 0, spec.maximum or 1e6).filter(spec.allows),
    }
    return kinds.get(spec.kind, st.just(spec.default))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@quick
@given(data=st.data())
def test_a_record_takes_any_value_or_refuses_it_in_one_sentence(record, data):
    specs = {spec.name: spec for spec in field_specs(record)}
    name = data.draw(st.sampled_from(sorted(specs)) | texts)
    value = data.draw(plain)
    try:
        made = record(**{name: value})
    except ConfigError as error:
        text = str(error)
        assert text
        assert "\n" not in text
        assert len(text) <= MOST_LETTERS
    else:
        assert name in specs
        assert record(**json.loads(made.model_dump_json())) == made


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@quick
@given(data=st.data())
def test_a_value_within_the_limits_is_taken_and_one_beyond_them_names_its_field(record, data):
    spec = data.draw(st.sampled_from([spec for spec in field_specs(record) if spec.kind in ("int", "float")]))
    if spec.maximum is not None:
        with pytest.raises(ConfigError, match=f"{spec.name}: "):
            record(**{spec.name: spec.maximum + 1})
    value = data.draw(allowed(spec))
    with contextlib.suppress(ConfigError):  # of two settings together
        assert getattr(record(**{spec.name: value}), spec.name) == value


@quick
@given(data=st.data())
def test_an_experiment_comes_back_from_its_yaml(data, tmp_path_factory):
    changes: dict[str, dict] = {}
    for stage, record in (("recover", RecoverConfig), ("squeeze", SqueezeConfig), ("evaluate", EvaluateConfig)):
        spec = data.draw(st.sampled_from(field_specs(record)))
        changes[stage] = {spec.name: data.draw(allowed(spec))}
    names = data.draw(st.none() | st.lists(texts, min_size=1, max_size=3).map(tuple))
    try:
        made = Experiment(dataset=data.draw(texts), classes=names, **changes)
    except ConfigError:
        return
    path = tmp_path_factory.mktemp("yaml") / "experiment.yaml"
    path.write_text(made.to_yaml(), encoding="utf-8")
    assert Experiment.read(path) == made


@quick
@given(names=st.lists(texts.filter(lambda text: text and text == text.strip()), min_size=1, max_size=4))
def test_names_of_classes_come_back_from_the_command_line(names):
    assert split_names(join_names(names)) == tuple(names)
    with pytest.raises(ConfigError, match="names are separated by commas"):
        split_names("two\rlines")


@quick
@given(text=st.text(), data=st.binary(max_size=60))
def test_an_event_comes_back_from_its_line_and_any_other_line_is_passed_over(text, data):
    line = to_line(NoteEvent(text=text))
    assert line.count(b"\n") == 1
    found = from_line(line)
    assert isinstance(found, NoteEvent)
    assert found.text == text
    assert from_line(data) is None


@quick
@given(texts)
def test_no_cell_of_a_table_is_a_formula_and_all_come_back(text):
    assert not str(guarded(text)).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert unguarded(guarded(text)) == text


@quick
@given(source=texts, name=texts, box=st.tuples(*[st.integers(0, 999)] * 4), prob=st.floats(0, 1, width=32))
def test_a_selection_comes_back_from_its_file(source, name, box, prob, tmp_path_factory):
    image = SelectedImage(0, 0, (Patch(3, source, box, 0, prob, 1),), 1, 40)
    path = tmp_path_factory.mktemp("selection") / "selection.csv"
    write_selection(path, [image], [name])
    assert read_selection(path) == (image,)


def test_doubtful_settings_are_named_and_usual_ones_are_not():
    usual = Experiment.for_method("delt", evaluate=EvaluateConfig(learning_rate=0.001))
    assert [doubts(usual, kind) for kind in ("recover", "squeeze", "evaluate", "rank")] == [(), (), (), ()]
    odd = Experiment(
        recover=RecoverConfig(ipc=2, iterations=80, round_iterations=10, learning_rate=4),
        squeeze=SqueezeConfig(learning_rate=5),
        evaluate=EvaluateConfig(learning_rate=0.5, optimizer="sgd"),
    )
    rounds, step = doubts(odd, "recover")
    assert "8 rounds for 2 images" in rounds
    assert "Learning rate 4: a step of Adam" in step
    assert "Learning rate 5 with sgd" in doubts(odd, "squeeze")[0]
    assert doubts(odd, "evaluate") == ()
