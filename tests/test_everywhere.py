"""Where a program may have to run: without home or network, in plain C, with blanks and umlauts in names, python -O."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from cameras import GREY
from makers import picture

RELEASE = Path(__file__).parent / "data" / "release_0.1.0.ckpt"


@pytest.mark.skipif(os.name == "nt", reason="there is no LC_ALL")
@pytest.mark.parametrize("optimised", [(), pytest.param(("-O",), marks=pytest.mark.slow)])
def test_watch_and_report_run_in_a_bare_place(tmp_path: Path, optimised: tuple[str, ...]) -> None:
    """All at once: nothing of the user's is there but the files that are named."""
    folder = tmp_path / "Straße 7, hinten"
    folder.mkdir()
    shutil.copy(RELEASE, folder / "Modell für das Tor.ckpt")
    video = folder / "Tor (früh).avi"
    writer = cv2.VideoWriter(str(tmp_path / "gate.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for number in range(12):
        writer.write(picture(GREY, number))
    writer.release()
    (tmp_path / "gate.avi").rename(video)
    bare = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": "/nonexistent", "PYTHONIOENCODING": "ascii"}
    bare |= {
        "XDG_CACHE_HOME": "/nonexistent",
        "MPLCONFIGDIR": str(tmp_path),
        "no_proxy": "*",
        "CUDA_VISIBLE_DEVICES": "",
    }
    offline = ["unshare", "--user", "--net"] if _can_unshare() else []
    stmem = [*offline, sys.executable, *optimised, "-m", "anomalib_stmem.cli"]
    watch = [*stmem, "watch", video.name, "--ckpt", "Modell für das Tor.ckpt", "--results", "Ergebnis ä"]
    for command in (watch, [*stmem, "report", "Ergebnis ä"]):
        ran = subprocess.run(command, cwd=folder, env=bare, capture_output=True, check=False, timeout=120)
        assert ran.returncode == 0, (ran.stdout, ran.stderr)
        assert b"Traceback" not in ran.stderr
    (source,) = json.loads((folder / "Ergebnis ä" / "run.json").read_text("utf-8"))["sources"]
    assert source["source"] == video.name
    assert source["frames_judged"] == 7
    assert json.dumps(video.name) in (folder / "Ergebnis ä" / "report.html").read_text("utf-8")


def _can_unshare() -> bool:
    command = ["unshare", "--user", "--net", "true"]
    return shutil.which("unshare") is not None and not subprocess.run(command, check=False).returncode
