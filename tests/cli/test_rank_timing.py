"""``delt rank`` says where its time went, and goes on where it was stopped."""

from __future__ import annotations

import shutil

from delt_engine.jobs.worker import StopRequests
from delt_engine.patches import scoring
from delt_engine.paths import cache_dir


def test_the_time_is_said_once_and_a_ranking_made_before_says_so(answer, delt, colours):
    words = ["rank", "--dataset", colours, "--image-size", "8", "--crops", "2", "--seed", "11"]
    timing = answer(*words)["timing"]
    assert timing["patches"] == 96
    assert {"decode_percent", "copy_percent", "network_percent", "patches_per_second", "workers"} <= timing.keys()
    assert answer(*words)["timing"] is None
    assert "This ranking was made before." in delt(*words).stdout
    assert "patches in " in delt(*words[:-1], "12").stdout


def test_a_stopped_ranking_goes_on_with_the_same_command_and_ends_in_the_same_scores(
    delt, colours, tmp_path, monkeypatch
):
    words = [
        "rank",
        "--dataset",
        colours,
        *["--image-size", "8", "--crops", "2", "--seed", "13", "--rank-batch-size", "8"],
    ]
    whole, parts, scored = tmp_path / "whole.npz", tmp_path / "parts.npz", []
    score = scoring.Scorer.__call__

    def watched(self, *args):
        scored.append(1)
        if len(scored) == 5:
            patched.setattr(StopRequests, "asked", lambda self: "cancel")
        return score(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(scoring.Scorer, "__call__", watched)
        stopped = delt(*words, "--out", parts)
    assert stopped.exit_code == 130
    assert "what is scored is kept, and the same command goes on" in stopped.stderr
    went_on = delt(*words, "--out", parts)
    assert went_on.exit_code == 0, went_on.stderr
    assert "Going on with a ranking that was stopped: 40 of 96 patches are scored." in went_on.stderr
    shutil.rmtree(cache_dir() / "rankings")
    assert delt(*words, "--out", whole).exit_code == 0
    assert parts.read_bytes() == whole.read_bytes()
