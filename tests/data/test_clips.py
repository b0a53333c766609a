import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import Resize

from anomalib_stmem.data.clips import ClipDataset, as_floats
from anomalib_stmem.data.labels import LabelledVideo, whole
from anomalib_stmem.data.masks import MaskImages
from anomalib_stmem.video.recorded import FrameFolder


class CountingVideo:
    """A video whose frame i has the value i everywhere."""

    frame_rate, cut_off, can_seek = 30.0, False, True

    def __init__(self, num_frames: int, size: tuple[int, int] = (4, 6)) -> None:
        self.path, self.num_frames = Path(f"/videos/{num_frames}_{size}"), num_frames
        self.size_hw = self.source_hw = size

    def frames(self, start: int = 0) -> Iterator[np.ndarray]:
        for index in range(start, self.num_frames):
            yield np.full((3, *self.size_hw), index, np.uint8)


def video(num_frames: int, labels: np.ndarray | None = None) -> LabelledVideo:
    return whole("v", CountingVideo(num_frames), labels)


def numbers(dataset: ClipDataset) -> list[list[int]]:
    return [(dataset[i].image[:, 0, 0, 0] * 255).round().int().tolist() for i in range(len(dataset))]


@pytest.mark.parametrize(
    ("frames", "length", "stride", "clips"),
    [(10, 6, 1, 5), (10, 6, 2, 3), (10, 10, 1, 1), (10, 6, 4, 2), (10, 6, 5, 1), (6, 6, 1, 1)],
)
def test_number_of_clips(frames: int, length: int, stride: int, clips: int) -> None:
    dataset = ClipDataset([video(frames)], "train", length, stride)
    assert len(dataset) == clips


def test_clips_never_cross_videos_and_judge_their_last_frame() -> None:
    videos = [video(n) for n in (5, 4)]
    dataset = ClipDataset(videos, "test", 3)
    assert numbers(dataset) == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [0, 1, 2], [1, 2, 3]]
    assert [int(dataset[i].frames) for i in range(5)] == [2, 3, 4, 2, 3]


@pytest.mark.parametrize("length", range(3, 15))
@pytest.mark.parametrize("lengths", [(12,), (9, 5), (3, 10)], ids=str)
def test_with_context_each_frame_is_judged_once(length: int, lengths: tuple[int, ...]) -> None:
    videos = [video(n, labels=np.arange(n) % 2 == 1) for n in lengths]
    dataset = ClipDataset(videos, "test", length, context=2)
    batch = dataset.__getitems__(range(len(dataset)))
    expected = [frame for n in lengths for frame in range(2, n)]
    assert batch.frames.tolist() == expected
    assert batch.image[:, :, 0, 0, 0][batch.judged].tolist() == expected  # the mask picks the frames that it names
    assert batch.gt_label.tolist() == [frame % 2 == 1 for frame in expected]
    assert len(batch.video_name) == len(batch.frame_rate) == dataset.num_judged == len(expected)
    assert not batch.judged[:, :2].any()


def test_clips_judged_at_every_frame_are_no_items() -> None:
    with pytest.raises(TypeError, match="__getitems__"):
        ClipDataset([video(9)], "test", 5, context=2)[0]


def test_video_without_one_judged_frame_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has 2 frames to draw from, fewer than one clip of 3"):
        ClipDataset([video(2), video(9)], "test", 6, context=2)


def test_stretch_keeps_the_numbers_of_the_whole_video() -> None:
    labels = np.arange(10) >= 8
    dataset = ClipDataset([LabelledVideo("v", CountingVideo(10), 6, 10, labels)], "val", 3)
    assert numbers(dataset) == [[6, 7, 8], [7, 8, 9]]
    assert [(int(dataset[i].frames), bool(dataset[i].gt_label)) for i in range(2)] == [(8, True), (9, True)]


def test_video_shorter_than_a_clip_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has 5 frames to draw from, fewer than one clip of 6"):
        ClipDataset([video(5)], "train", 6)


def test_item_holds_truth_of_the_judged_frame(scene: Path) -> None:
    frames = FrameFolder(scene / "testing" / "frames" / "01", (32, 48))
    masks = MaskImages(scene / "testing" / "masks" / "01")
    dataset = ClipDataset([whole("01", frames, masks=masks)], "test", 6)
    for index in (0, 8, 18):
        item = dataset[index]
        assert item.image.shape == (6, 3, 32, 48)
        assert item.image.dtype == torch.float32
        assert 0 <= item.image.min() <= item.image.max() <= 1
        assert item.gt_mask.shape[-2:] == (32, 48)
        assert bool(item.gt_label) == bool(masks[index + 5].any())
        assert item.mask_known


def test_augmentations_see_one_clip_at_a_time() -> None:
    dataset = ClipDataset([video(8)], "train", 6)
    dataset.augmentations = Resize([8, 8])
    assert dataset[0].image.shape == (6, 3, 8, 8)


def test_unlabelled_video_has_no_truth() -> None:
    item = ClipDataset([video(6)], "test", 6)[0]
    assert item.gt_label is None
    assert item.gt_mask is None


def test_video_without_masks_among_others_is_marked(scene: Path) -> None:
    folder = scene / "testing" / "frames"
    with_masks = whole("01", FrameFolder(folder / "01"), masks=MaskImages(scene / "testing" / "masks" / "01"))
    without = whole("02", FrameFolder(folder / "02"), np.ones(24, bool))
    batch = ClipDataset([with_masks, without], "test", 20).__getitems__([0, 4, 5, 9])
    assert batch.mask_known.tolist() == [True, True, False, False]
    assert not batch.gt_mask[2:].any()
    assert batch.gt_label[2:].tolist() == [True, True]


def test_batch_names_videos_frames_labels_and_rate() -> None:
    batch = ClipDataset([video(8, np.zeros(8, bool))], "val", 6).__getitems__([0, 1, 2])
    assert batch.image.shape == (3, 6, 3, 4, 6)
    assert batch.image.dtype == torch.uint8  # a quarter of the bytes to send; floats on the device
    torch.testing.assert_close(as_floats(batch).image[1, :, 0, 0, 0], torch.arange(1, 7) / 255)
    assert batch.frames.tolist() == [5, 6, 7]
    assert batch.gt_label.tolist() == [False] * 3
    assert batch.video_name == ["v"] * 3
    assert batch.frame_rate.tolist() == [30.0] * 3


def test_mixed_sizes_are_refused_by_name() -> None:
    videos = [whole(str(size), CountingVideo(6, size)) for size in ((4, 6), (8, 8))]
    with pytest.raises(ValueError, match=r"4x6.*8x8.*--data\.image_size"):
        ClipDataset(videos, "test", 6).__getitems__([0, 1])


def test_dataset_travels_without_its_decoders() -> None:
    dataset = ClipDataset([video(8)], "test", 6)
    _ = dataset[0]
    assert pickle.loads(pickle.dumps(dataset))._buffer is None  # noqa: S301


def test_subset_of_videos_keeps_its_clips() -> None:
    videos = [video(n) for n in (5, 4, 6)]
    assert len(ClipDataset(videos, "test", 3).subsample([2, 0])) == 4 + 3
