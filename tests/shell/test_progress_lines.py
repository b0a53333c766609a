"""A training whose output goes to a file says how far it is."""

import re
from pathlib import Path

import pytest
from anomalib.engine import Engine
from conftest import TINY_DATA, TINY_MODEL

from anomalib_stmem import STMem, VideoFolder
from anomalib_stmem.shell import progress_lines


@pytest.mark.parametrize("wanted", [True, False])
def test_lines_say_how_far_it_is(
    wanted: bool, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_lines, "EVERY", 0.0)
    started = Engine(default_root_dir=tmp_path, max_epochs=1, accelerator="cpu", enable_progress_bar=wanted)
    started.train(STMem(**TINY_MODEL), datamodule=VideoFolder(scene, **TINY_DATA))
    steps, said = started.trainer.global_step, capsys.readouterr().out
    found = re.findall(r"\d\d:\d\d:\d\d Training: step (\d+), (\d+) %, loss \d\.\d+, \d+ s left\.", said)
    expected = [(str(step), f"{100 * step / steps:.0f}") for step in range(1, steps + 1)]
    assert found == (expected if wanted else [])
    for what in ("Judging the video that was held out", "Testing"):
        assert (f"{what}: 100 %." in said) == wanted
