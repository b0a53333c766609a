"""A small part of ``python tests/break_it.py kills``: what is killed leaves nothing half-written, and goes on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from faults.kill_jobs import JOBS, broken_files

BREAK_IT = Path(__file__).parents[1] / "break_it.py"
QUICK = {"stmem report"}


@pytest.mark.skipif(os.name == "nt", reason="processes cannot be forked")
@pytest.mark.parametrize(
    "job", [pytest.param(job, marks=() if job in QUICK else pytest.mark.slow, id=job) for job in JOBS]
)
def test_killed_command_goes_on(job: str) -> None:
    """In a process of its own, for threads do not survive a fork."""
    command = [sys.executable, BREAK_IT, "kills", "--times", "1", "--jobs", job]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert f"| {job} | 3 | 0 |" in ran.stdout, ran.stdout + ran.stderr[-2000:]
    assert ran.returncode == 0


def test_what_is_half_written_is_found(tmp_path: Path) -> None:
    (tmp_path / "events.json").write_text("[{")
    (tmp_path / "gate.mp4").write_bytes(b"\0\0")
    (tmp_path / "gate.ckpt").write_bytes(b"PK")
    (tmp_path / "scores.csv.part").write_text("half a")
    assert [name.split(":")[0] for name in broken_files(tmp_path)] == ["events.json", "gate.ckpt", "gate.mp4"]
