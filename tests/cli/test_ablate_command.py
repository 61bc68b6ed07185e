"""``delt ablate`` as typed, on the tiny world: a row a switch at equal cost, what is kept, where the app finds it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from tiny_data import tiny_dataset
from tiny_world import SQUEEZE

from delt_engine.cli import compare_plan, main
from delt_engine.config import RecoverConfig
from delt_engine.config.switches import SWITCHES
from delt_engine.models.checkpoints import save_teacher
from delt_engine.models.held_out import second_dir
from delt_engine.runs.ablations import ablations, described
from delt_engine.runs.store import list_runs
from delt_engine.training.squeeze import squeeze

pytest_plugins = ["tiny_world"]
pytestmark = pytest.mark.usefixtures("one_thread")

WORDS = ("ablate", "--dataset", "colours", "--ipc", "4", "--mi", "8", "--ri", "2", "--epochs", "1", "--device", "cpu")


@pytest.fixture(scope="session")
def second():
    """A network of another kind that knows the colours, for the committee."""
    *_, result = squeeze(tiny_dataset(), SQUEEZE.replace(network="resnet18"), seed=0, device="cpu")
    return result


@pytest.fixture
def typed(world, second, monkeypatch):
    save_teacher(second_dir() / "second.safetensors", second.network, second.card)
    monkeypatch.setattr(compare_plan, "size_of", lambda dataset, image_size=None: 8)

    def run(*words, code: int = 0):
        done = CliRunner().invoke(main, [*WORDS, "--rand-augment", "none", *words, "-q"])
        assert done.exit_code == code, done.output
        return done

    return run


def test_every_row_has_the_same_cost_and_recipe_and_the_app_finds_the_table(typed, tmp_path) -> None:
    asked = ("--switches", "delt-plus-half,remix,delt-plus", "--out", str(tmp_path / "table.json"))
    record = json.loads(typed(*asked, "--json").stdout)
    rows = {row["switch"]: row for row in record["rows"]}
    assert list(rows) == ["delt", "remix", "delt-plus", "delt-plus-half"]
    # four images a class join one a round: 8 + 6 + 4 + 2 iterations, three classes
    assert [row["image_iterations"] for row in rows.values()] == [60, 60, 60, 30]
    assert (rows["remix"]["settings"], rows["delt-plus"]["settings"]) == ("--remix 0.5", "--method delt-plus")
    assert rows["delt"]["gap"] is None
    assert rows["remix"]["gap"] == pytest.approx(rows["remix"]["top1_last"] - rows["delt"]["top1_last"])
    records = [run.record() for run in list_runs()]
    made = [record for record in records if record.kind == "recover"]
    assert sorted(record.experiment.recover.remix for record in made) == [0, 0, 0, 0.5]
    assert [record.committee[0].network for record in made if record.committee] == ["resnet18"] * 2
    # also a committee's images are labelled by the teacher alone
    assert {record.experiment.evaluate.relabeller for record in records if record.kind == "evaluate"} == {"colours"}
    assert ablations("colours") == [record] == [json.loads((tmp_path / "table.json").read_text())]
    assert "all labelled by colours alone, tested on 36 real test images" in described(record)
    number = len(list_runs())
    again = CliRunner().invoke(main, [*record["command"][1:], "--json", "-q"])  # the command that is told
    assert json.loads(again.stdout)["rows"] == record["rows"]
    assert len(list_runs()) == number


def test_a_preset_gives_images_per_class_and_the_training_of_the_students(typed) -> None:
    asked = ("--preset", "delt-cifar10-ipc1", "--switches", "delt", "--mi", "2")
    record = json.loads(typed(*asked, "--json").stdout)
    assert (record["ipc"], record["seeds"], record["preset"]["name"]) == (4, 3, "delt-cifar10-ipc1")  # IPC is typed
    assert record["command"][2:6] == ["--switches", "delt", "--preset", "delt-cifar10-ipc1"]
    (students,) = [run.experiment.evaluate for run in list_runs() if run.record().kind == "evaluate"]
    assert (students.seeds, students.epochs, students.rand_augment) == (3, 1, "none")
    assert "preset" not in ablations("colours")[0]


def test_a_wrong_switch_is_refused(typed) -> None:
    said = typed("--switches", "remix,re-mix", code=2).output
    assert said.startswith("Error: switches: 're-mix' given, but it must be one of delt, remix, class")


def test_each_switch_changes_what_it_says_and_nothing_else() -> None:
    base = RecoverConfig()
    for switch in SWITCHES.values():
        own = switch.applied(base).model_dump()
        changed = {name: value for name, value in own.items() if value != getattr(base, name)}
        length = {"iterations": 2000, "round_iterations": 250} if switch.share == 0.5 else {}
        assert changed == {**switch.settings, **length}
    plus = RecoverConfig.for_method("delt-plus")
    assert plus == SWITCHES["delt-plus"].applied(base)
