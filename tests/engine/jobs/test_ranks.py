"""Which rank a process is, what the ranks tell each other, and how many are started."""

from __future__ import annotations

import contextlib
import signal
import threading

import pytest
from fake_runs import fake_experiment
from filelock import FileLock, Timeout
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from waiting import PATIENCE_S, wait_for

from delt_engine.config import Experiment
from delt_engine.errors import ConfigError, RunCancelled, RunError
from delt_engine.jobs import ranks
from delt_engine.jobs.ranks import Rank, this_rank, wanted
from delt_engine.runs import locks
from delt_engine.runs.locks import alone
from delt_engine.runs.store import Run


def test_without_a_launcher_there_is_one_rank() -> None:
    assert this_rank({}) == this_rank({"RANK": "3"}) == Rank(0, 1)


def test_what_the_launcher_says() -> None:
    told = {"RANK": "9", "WORLD_SIZE": "16", "LOCAL_RANK": "1", "TORCHELASTIC_RESTART_COUNT": "2"}
    assert this_rank(told) == Rank(9, 16, 1, 2)
    for number in ("4", "-1", "first"):
        with pytest.raises(ConfigError, match="from 0 to one below the number of ranks"):
            this_rank({"RANK": number, "WORLD_SIZE": "4"})


def test_each_rank_has_a_card_of_its_own() -> None:
    assert [Rank(number, 4, number % 2).device("cuda:0") for number in range(4)] == ["cuda:0", "cuda:1"] * 2
    Rank().check_device("cuda:1")
    Rank(0, 2).check_device("cuda")
    with pytest.raises(ConfigError, match="'cuda:1' given, but 2 ranks take one card each"):
        Rank(0, 2).check_device("cuda:1")


class Store:
    """A store as torch's rendezvous gives it."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def set(self, key: str, value: str) -> None:
        self.values[key] = value

    def get(self, key: str) -> str:
        return self.values[key]

    def check(self, keys: list[str]) -> bool:
        return all(key in self.values for key in keys)

    def delete_key(self, key: str) -> bool:
        return self.values.pop(key, None) is not None


@pytest.fixture
def alone_there(monkeypatch) -> ranks.Channel:
    """The first of two ranks; the other has not come yet."""
    store = Store()
    monkeypatch.setattr("torch.distributed.rendezvous", lambda url: iter([(store, 0, 2)]))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    return ranks.Channel()


@pytest.fixture
def channels(alone_there, monkeypatch) -> list[ranks.Channel]:
    """Channels of two ranks, made from the variables of each."""
    monkeypatch.setenv("RANK", "1")
    return [alone_there, ranks.Channel()]


def test_orders_arrive_in_their_order_and_the_first_rank_stays_until_the_end_is_heard(channels) -> None:
    first, other = channels
    first.say({"do": "rank"})
    first.say({"do": "recover"})
    assert [other.hear(lambda: None)["do"] for _ in range(2)] == ["rank", "recover"]
    ending = threading.Thread(target=first.end)
    ending.start()
    assert other.hear(lambda: None) == {"do": "end"}
    assert ending.is_alive()
    other.leave()
    ending.join()


@pytest.fixture
def launchers_store(monkeypatch) -> None:
    """The store belongs to the launcher, so it stays when the first rank goes."""
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """Time that passes only while somebody sleeps; how long they slept."""
    slept: list[float] = []
    monkeypatch.setattr(ranks.time, "sleep", slept.append)
    monkeypatch.setattr(ranks.time, "monotonic", lambda: sum(slept))
    return slept


def test_the_first_rank_does_not_stay_for_ranks_that_come_late_or_never(alone_there, launchers_store, clock) -> None:
    alone_there.end()
    assert not clock
    assert not alone_there._welcoming.is_alive()


def test_a_rank_that_comes_late_hears_the_end_and_goes(alone_there, launchers_store, monkeypatch) -> None:
    monkeypatch.setenv("RANK", "1")
    late = ranks.Channel()
    alone_there.end()
    assert late.hear(lambda: pytest.fail("waited")) == {"do": "end"}
    late.leave()


def test_a_bad_end_is_heard_by_nobody_who_is_started_again(alone_there, launchers_store, monkeypatch) -> None:
    alone_there.end(is_good=False)
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(RunCancelled):
        ranks.Channel().hear(stop)


def test_who_is_started_again_does_not_hear_the_end_of_before(alone_there, launchers_store, monkeypatch) -> None:
    alone_there.end()
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    monkeypatch.setenv("RANK", "1")
    late = ranks.Channel()
    with pytest.raises(RunCancelled):
        late.hear(stop)
    monkeypatch.delenv("TORCHELASTIC_RESTART_COUNT")
    monkeypatch.setenv("RANK", "0")
    ranks.Channel()  # on another machine the number of starts may be another one
    assert not late._store.check([alone_there._over])


@pytest.mark.parametrize(
    ("raised", "expected"),
    [(None, {}), (RunCancelled("pause"), {"is_good": True}), (RunError("gone"), {"is_good": False})],
)
def test_the_end_of_the_first_rank_is_good_unless_the_launcher_starts_all_again(
    channels, monkeypatch, raised, expected
) -> None:
    ended = []
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(ranks, "channel", lambda: channels[0])
    monkeypatch.setattr(channels[0], "end", lambda *args, **options: ended.append(options))
    with contextlib.suppress(RunCancelled, RunError), ranks.leading():
        if raised:
            raise raised
    assert ended == [expected]


def test_the_first_rank_knows_who_left_while_it_waited_for_orders(channels) -> None:
    first, other = channels
    wait_for(other._is_welcome)
    assert first.left() == set()
    other.leave()
    assert first.left() == {1}


def test_a_rank_that_leaves_before_it_is_welcome_stays_until_the_first_knows(alone_there, monkeypatch) -> None:
    monkeypatch.setenv("RANK", "1")
    ranks.Channel().leave()
    assert alone_there.left() == {1}


def test_a_rank_that_leaves_where_no_first_comes_tells_the_launcher(alone_there, monkeypatch, clock) -> None:
    alone_there._is_ending.set()
    alone_there._welcoming.join()
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(RunError, match="rank 1: it was to stop before the first rank was there"):
        ranks.Channel().leave()
    assert sum(clock) == pytest.approx(ranks.FAREWELL_SECONDS, abs=2 * ranks.POLL_SECONDS)


def test_without_a_store_no_order_reaches_anybody(channels, monkeypatch) -> None:
    def broken(*_words) -> bool:
        raise RuntimeError("Connection reset by peer")

    first, other = channels
    wait_for(other._is_welcome)
    for name in ("check", "set"):
        monkeypatch.setattr(first._store, name, broken)
    assert first.left() == {1}
    with pytest.raises(RunError, match="rank 1: the first rank cannot be reached"):
        other.leave()


def test_orders_and_marks_of_ranks_that_are_gone_are_not_heard_after_a_restart(channels, monkeypatch) -> None:
    first, other = channels
    first.say({"do": "recover"})
    first.say({"do": "end"})
    assert other.hear(lambda: None) == {"do": "recover"}
    first._welcoming.join()
    late = ranks.Channel()  # the second rank, started again sooner than the first one
    asked = []

    def as_the_launcher_goes_on() -> None:
        asked.append(None)
        if len(asked) == 2:
            monkeypatch.setenv("RANK", "0")
            ranks.Channel().say({"do": "relabel"})

    assert late.hear(as_the_launcher_goes_on) == {"do": "relabel"}
    assert len(asked) >= 2


def test_waiting_for_an_order_ends_at_a_wish_or_when_the_first_rank_is_gone(channels, monkeypatch) -> None:
    def wish() -> None:
        raise RunCancelled("pause")

    with pytest.raises(RunCancelled):
        channels[1].hear(wish)

    def broken(keys) -> bool:
        raise RuntimeError("Connection reset by peer")

    monkeypatch.setattr(channels[1]._store, "check", broken)
    with pytest.raises(RunError, match="rank 1: the first rank cannot be reached"):
        channels[1].hear(lambda: None)


@pytest.fixture
def met(monkeypatch):
    """Let channels of these numbers come to the same place; return what each got, or what it raised."""
    from torch.distributed import HashStore

    store = HashStore()
    monkeypatch.setattr("torch.distributed.rendezvous", lambda url: iter([(store, 0, 3)]))
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", "0")
    first = ranks.Channel()

    def meet(checks: dict[int, object]) -> dict[int, object]:
        found = {}
        made = {}
        for number in checks:
            monkeypatch.setenv("RANK", str(number))
            made[number] = ranks.Channel() if number else first
            wait_for(made[number]._is_welcome)

        def come(number: int) -> None:
            try:
                found[number] = made[number].meet(checks[number])
            except Exception as error:
                found[number] = error

        threads = [threading.Thread(target=come, args=(number,), daemon=True) for number in checks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=PATIENCE_S)
        return found

    meet.store, meet.word = store, first._word
    return meet


def nothing() -> None:
    """Nobody wants anything."""


def stop() -> None:
    raise RunCancelled("cancel")


def test_ranks_that_have_met_share_a_store(met) -> None:
    found = met(dict.fromkeys(range(3), nothing))
    found[2].set("word", "said")
    assert found[0].get("word") == b"said"


def test_a_wish_at_one_rank_calls_a_meeting_off_for_all(met) -> None:
    found = met({1: stop, 0: nothing})  # the third never comes
    assert {number: str(error) for number, error in found.items()} == {1: "cancel", 0: "pause"}


def test_a_meeting_is_called_off_for_those_who_come_later(met) -> None:
    assert str(met({0: stop})[0]) == "cancel"
    assert all(isinstance(error, RunCancelled) for error in met({1: nothing, 2: nothing}).values())


def test_once_all_are_there_a_wish_comes_too_late(met) -> None:
    def as_the_first_says_go() -> None:
        met.store.set(f"delt-{met.word}-meeting-0", "go")
        stop()

    assert not isinstance(met({1: as_the_first_says_go})[1], Exception)  # the others wait for it in the first step


@pytest.mark.parametrize(
    ("asked", "device", "cards", "batches", "expected"),
    [
        (3, "cpu", "", 1, 3),
        (0, "cpu", "0,1", 9, 1),
        (0, "auto", "0", 9, 1),
        (0, "auto", "0,1,2", 2, 2),
        (0, "cuda", "0,1,2", 9, 3),
        (0, "cuda:1", "0,1,2", 9, 1),
        (0, "auto", "0,1,2", 1, 1),
        (1, "cuda", "0,1", 9, 1),
    ],
)
def test_how_many_ranks_are_started(monkeypatch, asked, device, cards, batches, expected) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", cards)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    assert wanted(asked, Experiment(device=device), lambda: batches) == expected


def test_a_rank_starts_no_ranks(monkeypatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert wanted(8, Experiment(), lambda: 9) == 1


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (None, 0),
        (ChildFailedError("delt", {0: ProcessFailure(0, 7, 1, "")}), 1),
        (SignalException("stopped", signal.SIGTERM), 130),
    ],
)
def test_what_became_of_the_ranks_is_told_by_a_code(monkeypatch, ended, code) -> None:
    asked = []

    def run(arguments) -> None:
        asked.append(arguments)
        if ended:
            raise ended

    monkeypatch.setattr("torch.distributed.run.run", run)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert ranks.launch(3, ["recover", "--ipc", "1"]) == code
    assert asked[0].nproc_per_node == "3"
    assert asked[0].training_script_args == ["recover", "--ipc", "1"]


def test_what_ranks_share_is_changed_by_one_at_a_time(tmp_path) -> None:
    run = Run.create(tmp_path / "a", fake_experiment())
    with alone(run, "3"):
        assert not (run.path / locks.FOLDER).exists()  # one process needs no lock
    (run.path / locks.FOLDER).mkdir()
    with alone(run, "3"), alone(run, "4"):  # of different things, two at a time
        other = FileLock(run.path / locks.FOLDER / "3.lock")
        with pytest.raises(Timeout):
            other.acquire(timeout=0)
    other.acquire(timeout=0)
    other.release()
