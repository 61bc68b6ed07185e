"""Files that are whole or absent, small records by key, and arrays with facts."""

import errno
import os
from stat import S_ISDIR

import pytest

from delt_engine import files
from delt_engine.errors import DataError, RunError
from delt_engine.files import KeyedStore, try_write, write_bytes


def refuse(monkeypatch, number: int) -> None:
    def replace(source, target):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "replace", replace)


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "no space left"), (errno.EACCES, "no permission"), (errno.EROFS, "read-only")],
)
def test_a_refused_write_is_one_sentence_and_keeps_what_was_there(tmp_path, monkeypatch, number, words) -> None:
    files.write_bytes(tmp_path / "a.txt", b"old")
    refuse(monkeypatch, number)
    with pytest.raises(RunError, match=words) as caught:
        files.write_bytes(tmp_path / "a.txt", b"new")
    assert str(caught.value).count(".") == str(tmp_path / "a.txt").count(".") + 1
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.txt", b"old")]


def test_the_sentence_begins_as_the_caller_wants_and_what_can_be_made_again_is_no_error(tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    path = tmp_path / "file" / "a"
    with pytest.raises(DataError, match=rf"^ranking: {path} cannot be written: a file stands"):
        write_bytes(path, b"1", what="ranking", kind=DataError)
    assert not try_write(path, b"1")
    assert try_write(tmp_path / "a", b"1")
    assert try_write(tmp_path / "a", b"2")
    assert (tmp_path / "a").read_bytes() == b"2"


def test_a_durable_file_is_on_the_disk_before_its_name_and_then_the_name(tmp_path, monkeypatch) -> None:
    synced = []
    monkeypatch.setattr(files.os, "fsync", lambda handle: synced.append(S_ISDIR(os.fstat(handle).st_mode)))
    write_bytes(tmp_path / "a", b"1")
    assert synced == []
    write_bytes(tmp_path / "a", b"1", durable=True)
    assert synced == [False, True], "the file, then its folder"


def test_a_folder_is_whole_or_absent_and_what_another_process_tidies_stops_nobody(tmp_path) -> None:
    (tmp_path / ".made-0").symlink_to(tmp_path / "gone")  # listed, and not there any more
    with files.whole_folder(tmp_path / "a", ".made-") as made:
        made.mkdir()
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").is_dir()


def test_what_can_be_written_later_is_found_out_now(tmp_path) -> None:
    (tmp_path / "kept.txt").write_text("old")
    files.check_writable(tmp_path / "kept.txt")
    files.check_writable(tmp_path / "new" / "file.txt")
    assert (tmp_path / "kept.txt").read_text() == "old"
    assert list((tmp_path / "new").iterdir()) == []
    with pytest.raises(RunError, match=r"kept.txt/file.txt cannot be written: a file stands"):
        files.check_writable(tmp_path / "kept.txt" / "file.txt")


@pytest.fixture
def store(tmp_path, monkeypatch) -> KeyedStore:
    monkeypatch.setenv("DELT_HOME", str(tmp_path))
    return KeyedStore("rates", most=3)


def test_a_record_comes_back_by_its_key_and_a_damaged_one_is_absent(store, tmp_path) -> None:
    assert store.read("a") is None
    assert store.write("a", {"x": 1}) == tmp_path / "rates" / "a.json"
    path = store.write(("cpu", 2), [1.5])
    assert (store.read("a"), store.read(("cpu", 2))) == ({"x": 1}, [1.5])
    path.write_bytes(b'{"x": \xff')
    assert store.read(("cpu", 2)) is None
    assert store.records() == [{"x": 1}]


def test_the_oldest_records_go(store) -> None:
    for number in range(4):
        store.write(str(number), number)
    assert store.records() == [3, 2, 1]


def test_what_cannot_be_read_as_a_file_is_said(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "small").write_bytes(b"12345")
    files.check_file(tmp_path / "small", most=5)
    for name, most, words in (("pipe", 9, "no regular file"), ("small", 4, "more than any of its kind")):
        with pytest.raises(OSError, match=words):
            files.check_file(tmp_path / name, most)
    with pytest.raises(IsADirectoryError):
        files.check_file(tmp_path)
    assert files.read_json(tmp_path / "pipe") is None
