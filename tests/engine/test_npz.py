"""Arrays in a file: they come back as they are stored, and what is no such file is one sentence."""

import io
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from delt_engine.errors import DataError
from delt_engine.npz import ArrayRecord, read_npz


@dataclass(frozen=True, eq=False)
class Counts(ArrayRecord):
    ARRAYS = {"values": np.int16}
    FORMAT, WHAT, NAME, REMEDY = 2, "map", "map", "draw it again"

    name: str
    sizes: tuple[int, ...]
    values: np.ndarray


class Halved(Counts):
    PARSE = {"sizes": sum}


class Later(Counts):
    FORMAT = 3


def test_a_record_of_arrays_comes_back_in_the_type_it_is_stored_in(tmp_path) -> None:
    path = tmp_path / "a.npz"
    Counts("ä", (1, 2), np.array([3, 4])).save(path)
    found = Counts.load(path)
    assert (found.name, found.sizes, found.values.tolist(), found.values.dtype) == ("ä", (1, 2), [3, 4], np.int16)
    assert Halved.load(path).sizes == 3
    with pytest.raises(DataError, match=r"^map: .*a\.npz was written by another version; draw it again\.$"):
        Later.load(path)


class Trap:
    """An object whose unpickling would leave a trace."""

    sprung = False

    def __reduce__(self):
        return (setattr, (Trap, "sprung", True))


@pytest.mark.parametrize("damage", ["absent", "empty", "cut", "bit", "text", "pickle", "object", "foreign", "array"])
def test_what_is_no_record_is_one_sentence_and_nothing_in_it_is_run(tmp_path, damage) -> None:
    path = tmp_path / "a.npz"
    whole = Counts("a", (), np.zeros(99)).to_bytes()
    flipped = bytearray(whole)
    flipped[whole.find(b"values.npy") + 60] ^= 0xFF
    if damage == "object":
        np.savez(path, about=np.array([Trap()], dtype=object), values=np.zeros(2))
    elif damage == "foreign":
        np.savez(path, values=np.zeros(2))
    elif damage != "absent":
        array = io.BytesIO()
        np.save(array, np.zeros(3))
        contents = {"empty": b"", "cut": whole[:-30], "bit": flipped, "text": b"words", "array": array.getvalue()}
        path.write_bytes(contents.get(damage, pickle.dumps(Trap())))
    text = "cannot be read" if damage == "absent" else "is not a map, or is damaged"
    with pytest.raises(DataError, match=rf"^map: {path} {text}"):
        Counts.load(path)
    assert not Trap.sprung


def test_facts_of_version_0_1_0_kept_as_bytes_are_read(tmp_path) -> None:
    np.savez(tmp_path / "scan.npz", about=np.frombuffer(b'{"format": 1}', np.uint8), sizes=np.arange(2))
    arrays, facts = read_npz(tmp_path / "scan.npz", "scan", "scan")
    assert (facts, arrays["sizes"].tolist(), list(arrays)) == ({"format": 1}, [0, 1], ["sizes"])
