import pytest

from delt_engine.data.catalogue import load_dataset
from delt_engine.models.card import find_teacher, read_card
from delt_engine.models.teachers import check_teacher, load_teacher
from delt_engine.paths import assets_dir

SHIPPED = assets_dir() / "teachers"


@pytest.mark.parametrize(("name", "width"), [("photos", 0.25), ("digits", 0.125)])
def test_shipped_teacher_fits_its_dataset(name, width):
    dataset = load_dataset(name)
    path = SHIPPED / f"{name}.safetensors"
    assert find_teacher("auto", name, 32) == path
    card = read_card(path)
    assert (card.dataset, card.dataset_fingerprint) == (name, dataset.fingerprint)
    assert (card.network, card.width, card.stem, card.mean) == ("resnet18", width, "small", dataset.spec.mean)
    assert path.stat().st_size < 3_000_000
    assert 90 <= card.accuracy <= (97 if name == "photos" else 100)  # percent; photos shall have hard samples
    check = check_teacher(load_teacher("auto", dataset=dataset), dataset, sample=200)
    assert check.verdict == "good"
    assert check.accuracy == pytest.approx(card.accuracy, abs=6)  # three standard errors of 200 samples near 93 %
