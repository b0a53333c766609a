from pathlib import Path

import numpy as np
import pytest
from makers import write_numbered, write_video

from anomalib_stmem.data.clips import ClipDataset
from anomalib_stmem.data.frame_buffer import FrameBuffer
from anomalib_stmem.data.labels import whole
from anomalib_stmem.data.order import ClipOrder
from anomalib_stmem.video.recorded import FrameFolder, VideoFile


class Counted:
    """A video that counts what is decoded of it; frame i is i everywhere."""

    frame_rate, cut_off = None, False

    def __init__(self, name: str, num_frames: int, can_seek: bool) -> None:
        self.path, self.num_frames, self.can_seek = Path(name), num_frames, can_seek
        self.source_hw = self.size_hw = (2, 2)
        self.decoded: list[int] = []

    def frames(self, start: int = 0):  # noqa: ANN201
        if not self.can_seek:
            self.decoded += range(start)
        for index in range(start, self.num_frames):
            self.decoded.append(index)
            yield np.full((3, 2, 2), index % 256, np.uint8)


@pytest.mark.parametrize("can_seek", [True, False])
def test_overlapping_runs_decode_each_frame_once(can_seek: bool) -> None:
    video, buffer = Counted("v", 30, can_seek), FrameBuffer(keep=6)
    for start in range(25):
        assert buffer.read(video, start, start + 6)[:, 0, 0, 0].tolist() == [*range(start, start + 6)]
    assert sorted(video.decoded) == [*range(30)]


@pytest.mark.parametrize("can_seek", [True, False])
def test_going_back_reads_the_same_frames(can_seek: bool) -> None:
    video, buffer = Counted("v", 30, can_seek), FrameBuffer(keep=6)
    assert buffer.read(video, 20, 24)[:, 0, 0, 0].tolist() == [20, 21, 22, 23]
    assert buffer.read(video, 2, 5)[:, 0, 0, 0].tolist() == [2, 3, 4]


def test_frames_far_apart_are_not_decoded_between_where_seeking_is_free() -> None:
    video, buffer = Counted("v", 100, can_seek=True), FrameBuffer(keep=6)
    for start in range(0, 90, 30):
        buffer.read(video, start, start + 6)
    assert len(video.decoded) == 18


@pytest.mark.parametrize("can_seek", [True, False])
@pytest.mark.parametrize(("length", "step"), [(6, 1), (16, 4), (12, 11), (6, 6)])
def test_an_epoch_of_shuffled_clips_decodes_each_frame_once(can_seek: bool, length: int, step: int) -> None:
    videos = [Counted(f"v{i}", count, can_seek) for i, count in enumerate((150, 1200, 90, 180, 40))]
    dataset = ClipDataset([whole(v.path.name, v) for v in videos], "train", length, step)
    order = list(ClipOrder(dataset.clips_of_video, step, batch_size=8, num_workers=1, shuffle=True))
    assert sorted(order) == [*range(len(dataset))]
    for start in range(0, len(order), 8):
        dataset.__getitems__(order[start : start + 8])
    for video, clips in zip(videos, dataset.clips_of_video, strict=True):
        assert sorted(video.decoded) == [*range((clips - 1) * step + length)]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_real_videos_give_the_same_as_decoding_them_whole(tmp_path: Path, kind: str) -> None:
    path = write_numbered(tmp_path / "v", 20) if kind == "folder" else write_video(tmp_path / "v.avi", 20)
    video = (FrameFolder if kind == "folder" else VideoFile)(path, (4, 6))
    everything = np.stack(list(video.frames()))
    buffer = FrameBuffer(keep=5)
    for start in (3, 4, 12, 0, 14):
        np.testing.assert_array_equal(buffer.read(video, start, start + 6), everything[start : start + 6])
