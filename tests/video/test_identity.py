import os
from pathlib import Path

import pytest
from makers import write_frames

from anomalib_stmem.video.identity import ENDS, identity


def test_the_same_video_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"abc" * 1000)
    assert identity(tmp_path / "a.mp4") == identity(tmp_path / "a.mp4")


@pytest.mark.parametrize("change", ["head", "tail", "size", "time"])
def test_a_change_is_noticed(tmp_path: Path, change: str) -> None:
    path, content = tmp_path / "a.mp4", bytearray(3 * ENDS)
    path.write_bytes(content)
    before, stat = identity(path), path.stat()
    if change == "head":
        content[0] = 1
    elif change == "tail":
        content[-1] = 1
    elif change == "size":
        content += b"0"
    path.write_bytes(content)
    later = stat.st_mtime_ns + (10**9 if change == "time" else 0)
    os.utime(path, ns=(later, later))
    assert identity(path) != before


def test_folder_of_images_changes_with_any_of_them(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "v", ["1.png", "2.png", "3.png"])
    before = identity(folder)
    (folder / "2.png").rename(folder / "2b.png")
    assert identity(folder) != before
