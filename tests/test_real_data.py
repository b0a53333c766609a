"""Real video, where it is at hand; skipped elsewhere."""

from pathlib import Path

import numpy as np
import pytest

from anomalib_stmem import VideoFolder
from anomalib_stmem.data.frames import FrameFolder, VideoFile

DATA = Path(__file__).parents[2] / "shared" / "data"
needs_ped2 = pytest.mark.skipif(not (DATA / "ped2").is_dir(), reason=f"UCSD Ped2 is not in {DATA}")


@needs_ped2
def test_ped2_is_read_without_options() -> None:
    data = VideoFolder(DATA / "ped2", num_workers=0)
    data.setup("fit")
    assert len(data.train_data.videos) == 14
    assert [video.name for video in data.val_data.videos] == ["06", "12"]
    assert sum(video.video.num_frames for video in data.test_data.videos) == 2010
    assert len(data.test_data) == 2010 - 12 * 5
    assert sum(int(video.labels.sum()) for video in data.test_data.videos) == 1648


@needs_ped2
def test_ped2_masks_agree_with_labels_on_a_clip() -> None:
    data = VideoFolder(DATA / "ped2", num_workers=0)
    data.setup("test")
    video = data.test_data.videos[0]
    assert all(video.labels[frame] == video.mask(frame).any() for frame in range(0, video.last, 10))


@needs_ped2
def test_h264_holds_the_same_frames(tmp_path: Path) -> None:
    frames = FrameFolder(DATA / "ped2" / "testing" / "frames" / "03")
    film = VideoFile(DATA / "ped2_h264" / "testing" / "03.mp4", tmp_path)
    assert film.num_frames == frames.num_frames
    for start in (0, 70, 145):
        error = frames.read(start, start + 5).astype(float) - film.read(start, start + 5)
        assert 10 * np.log10(255**2 / (error**2).mean()) > 40


@pytest.mark.skipif(not (DATA / "avenue_subset").is_dir(), reason=f"Avenue is not in {DATA}")
def test_avenue_avi_is_decoded_whole(tmp_path: Path) -> None:
    videos = [VideoFile(DATA / "avenue_subset" / "training_videos" / f"{n}.avi", tmp_path) for n in (12, 16)]
    assert sum(video.num_frames for video in videos) == 389
    assert videos[0].size_hw == (360, 640)
