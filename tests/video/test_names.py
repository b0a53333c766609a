"""One rule for the names of videos and of the folders of their results."""

from pathlib import Path

import pytest

from anomalib_stmem.video.names import Folders, folder_of, safe_name, video_name


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("gate/01", "gate/01"),
        ("Monday morning", "Monday_morning"),
        ("../../etc/passwd", "video/video/etc/passwd"),
        ("/data/Test/Test001", "data/Test/Test001"),
        ("..", "video"),
        ("門", "門"),
    ],
)
def test_folder_bears_the_name_and_stays_inside(name: str, folder: str) -> None:
    assert folder_of(name) == Path(folder)


def test_no_two_videos_share_a_folder() -> None:
    """One stem in two folders, names that are safe in the same way, and names that differ in case only."""
    folders = Folders()
    names = ["x/01", "y/01", "a b", "a_b", "A_B", "/data/a/01.avi", "/data/a/01.mp4"]
    found = [folders.of(name) for name in names]
    assert len({str(folder).casefold() for folder in found}) == len(names)
    assert found[:3] == [Path("x/01"), Path("y/01"), Path("a_b")]
    assert [folders.of(name) for name in names] == found


def test_name_is_the_path_below_the_root_without_suffix(tmp_path: Path) -> None:
    (tmp_path / "gate" / "v1.5").mkdir(parents=True)
    assert video_name(tmp_path / "gate" / "monday.mp4", tmp_path) == "gate/monday"
    assert video_name(tmp_path / "gate" / "v1.5", tmp_path) == "gate/v1.5"
    assert safe_name("...") == "video"
