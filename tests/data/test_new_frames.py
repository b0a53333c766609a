"""Training video without repeats."""

from pathlib import Path

import numpy as np
import pytest
from makers import write_frames

from anomalib_stmem import VideoFolder
from anomalib_stmem.data.labels import whole
from anomalib_stmem.data.new_frames import NewFrames, without_repeats
from anomalib_stmem.video.recorded import FrameFolder

PICTURES = np.random.default_rng(0).integers(0, 256, (20, 16, 24, 3), np.uint8)


class Shown:
    """A video that shows pictures by their numbers."""

    path, frame_rate, can_seek, cut_off, damage_said = Path("v"), 5.0, False, False, None
    source_hw = size_hw = 16, 24

    def __init__(self, numbers: list[int], gaps: tuple[int, ...] = ()) -> None:
        self._numbers, self.num_frames, self.gaps = numbers, len(numbers), gaps

    def frames(self, start: int = 0):  # noqa: ANN201
        for number in self._numbers[start:]:
            yield PICTURES[number].transpose(2, 0, 1)


def test_repeats_are_left_out_and_the_rest_is_numbered_anew() -> None:
    numbers = [0, 0, 1, 2, 2, 2, 3, 4, 4, 5, 6, 7, 7, 8]
    labels = np.arange(len(numbers)) > 100
    video = without_repeats(whole("v", Shown(numbers, gaps=(7,)), labels))
    assert (video.first, video.last, len(video.labels)) == (0, 9, 9)
    assert video.video.num_frames == 9
    assert video.video.gaps == (4,)
    assert video.share == 9 / 14
    for start in (0, 3, 8, 9):
        read = [frame.transpose(1, 2, 0) for frame in video.video.frames(start)]
        np.testing.assert_array_equal(read or PICTURES[:0], PICTURES[start:9])


def test_video_without_repeats_is_left_as_it_is() -> None:
    video = whole("v", Shown(list(range(20))))
    assert without_repeats(video) is video


@pytest.mark.parametrize("cache", [True, False])
def test_a_datamodule_trains_on_new_frames_only(tmp_path: Path, cache: bool, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a", "b"):
        folder = write_frames(tmp_path / "normal" / name, [f"{n:03d}.png" for n in range(20)], size=(16, 24))
        for number in range(3, 20, 4):  # a fourth shows what came before
            (folder / f"{number:03d}.png").write_bytes((folder / f"{number - 1:03d}.png").read_bytes())
    data = VideoFolder(tmp_path, num_workers=0, cache_dir=tmp_path / "cache" if cache else None, frame_rate=5)
    data.setup("fit")
    assert [video.last for video in (*data.train_data.videos, *data.val_data.videos)] == [15, 15]
    assert "5 of 20 frames repeat the picture before" in caplog.text
    whole_video = list(FrameFolder(tmp_path / "normal" / "a").frames())
    expected = np.stack([frame for number, frame in enumerate(whole_video) if number % 4 != 3])
    image = data.train_data.__getitems__([1]).image[0].numpy()
    np.testing.assert_array_equal(image, expected[4 : 4 + len(image)])
    assert isinstance(data.train_data.videos[0].video, NewFrames)
