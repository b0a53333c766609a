"""What a report says of the videos that were tested."""

from pathlib import Path
from types import SimpleNamespace

from makers import write_video

from anomalib_stmem.data.labels import whole
from anomalib_stmem.shell.run_report import damage_of
from anomalib_stmem.video.recorded import open_video


def test_report_says_what_is_damaged(tmp_path: Path) -> None:
    good, bad = write_video(tmp_path / "good.avi", 40), write_video(tmp_path / "bad.avi", 40)
    bad.write_bytes(bad.read_bytes()[: bad.stat().st_size // 2])
    videos = [whole(path.stem, open_video(path, damaged="keep")) for path in (good, bad)]
    said = damage_of(SimpleNamespace(test_data=SimpleNamespace(videos=videos)))
    assert "bad.avi: " in said
    assert "cut off at" in said
    assert "good.avi" not in said
    assert damage_of(SimpleNamespace(test_data=SimpleNamespace(videos=videos[:1]))) == "none known"
    assert damage_of(None) == "none known"
