"""An export is what was exported, or it is refused."""

import shutil
import subprocess
from pathlib import Path

import pytest

from anomalib_stmem.runtime.checksums import refuse_broken, seal


@pytest.fixture
def step(tmp_path: Path) -> Path:
    for name in ("stream.xml", "stream.bin", "stream_looks.xml", "stream_looks.bin", "stream_looks.jpg", "model.xml"):
        (tmp_path / name).write_bytes(name.encode())
    seal(tmp_path / "stream.xml")
    return tmp_path / "stream.xml"


def test_whole_export_passes_and_so_does_one_without_sums(step: Path) -> None:
    refuse_broken(step)
    step.with_name("stream.xml.sha256").unlink()
    refuse_broken(step)


@pytest.mark.parametrize(
    "name", ["stream.xml", "stream.bin", "stream_looks.xml", "stream_looks.bin", "stream_looks.jpg"]
)
def test_each_file_is_looked_at(step: Path, name: str) -> None:
    step.with_name(name).write_bytes(b"other")
    with pytest.raises(ValueError, match=rf"{name} is not the file that was exported"):
        refuse_broken(step)
    step.with_name(name).unlink()
    with pytest.raises(ValueError, match=rf"{name} is missing"):
        refuse_broken(step)


def test_damaged_sums_are_refused(step: Path) -> None:
    step.with_name("stream.xml.sha256").write_bytes(b"\xff\x00 gate")
    with pytest.raises(ValueError, match=r"stream\.xml\.sha256 is damaged"):
        refuse_broken(step)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="there is no sha256sum")
def test_sums_are_as_sha256sum_reads_them(step: Path) -> None:
    subprocess.run(["sha256sum", "--check", "stream.xml.sha256"], cwd=step.parent, check=True, capture_output=True)
