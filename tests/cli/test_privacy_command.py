"""``delt privacy`` as it is typed: its JSON, its table, and what is kept."""


def test_a_run_is_looked_up_among_its_real_images(delt, answer, small, tmp_path) -> None:
    run = tmp_path / "run"
    assert delt("recover", *small, "--out", run, "--quiet").exit_code == 0
    found = answer("privacy", run, "--into", tmp_path / "put")
    pixels = found["spaces"]["pixels"]
    assert (pixels["real_images"], pixels["with_source"]) == (48, pixels["images"])
    assert pixels["top1"] <= pixels["top5"] <= pixels["images"]
    assert pixels["start_top1"] == pixels["images"]
    assert sum(row["images"] for row in pixels["rounds"]) == pixels["images"]
    assert "delt squeeze" in found["missing"]
    assert len(list((tmp_path / "put").glob("*.npz"))) == 1
    said = delt("privacy", run)
    assert said.exit_code == 0
    assert "nearest of 48 training images" in said.stdout
    assert "By start round, in pixels" in said.stdout


def test_what_is_no_run_is_refused(refusal) -> None:
    assert "nowhere" in refusal("privacy", "nowhere", code=1)
