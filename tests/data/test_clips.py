from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import Resize

from anomalib_stmem.data.clips import ClipDataset, collate_clips
from anomalib_stmem.data.frames import FrameFolder
from anomalib_stmem.data.labels import LabelledVideo


class CountingVideo:
    """A video whose frame i has the value i everywhere."""

    def __init__(self, num_frames: int, name: str = "v") -> None:
        self.path, self.num_frames, self.size_hw = Path(__file__).parent / name, num_frames, (4, 6)
        self.path = Path(__file__)  # samples must exist on disk

    def read(self, start: int, stop: int) -> np.ndarray:
        return np.stack([np.full((4, 6, 3), i, np.uint8) for i in range(start, stop)])


def numbers(dataset: ClipDataset) -> list[list[int]]:
    return [(dataset[i].image[:, 0, 0, 0] * 255).round().int().tolist() for i in range(len(dataset))]


@pytest.mark.parametrize(
    ("frames", "length", "stride", "clips"),
    [(10, 6, 1, 5), (10, 6, 2, 3), (10, 10, 1, 1), (10, 6, 4, 2), (10, 6, 5, 1), (6, 6, 1, 1)],
)
def test_number_of_clips(frames: int, length: int, stride: int, clips: int) -> None:
    dataset = ClipDataset([LabelledVideo(CountingVideo(frames), 0, frames)], "train", length, stride)
    assert len(dataset) == clips


def test_clips_never_cross_videos_and_judge_their_last_frame() -> None:
    videos = [LabelledVideo(CountingVideo(n), 0, n) for n in (5, 4)]
    dataset = ClipDataset(videos, "test", 3)
    assert numbers(dataset) == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [0, 1, 2], [1, 2, 3]]
    assert [int(dataset[i].frames) for i in range(5)] == [2, 3, 4, 2, 3]


def test_stretch_keeps_the_numbers_of_the_whole_video() -> None:
    labels = np.arange(10) >= 8
    dataset = ClipDataset([LabelledVideo(CountingVideo(10), 6, 10, labels)], "val", 3)
    assert numbers(dataset) == [[6, 7, 8], [7, 8, 9]]
    assert [(int(dataset[i].frames), bool(dataset[i].gt_label)) for i in range(2)] == [(8, True), (9, True)]


def test_video_shorter_than_a_clip_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has 5 frames to draw from, fewer than one clip of 6"):
        ClipDataset([LabelledVideo(CountingVideo(5), 0, 5)], "train", 6)


def test_item_holds_truth_of_the_judged_frame(scene: Path) -> None:
    from anomalib_stmem.data.labels import find_masks

    video = FrameFolder(scene / "testing" / "frames" / "01")
    (masks,) = find_masks(scene / "testing" / "masks", [video])
    dataset = ClipDataset([LabelledVideo(video, 0, 24, None, masks)], "test", 6)
    dataset.augmentations = Resize([32, 32])
    for index in (0, 8, 18):
        item = dataset[index]
        assert item.image.shape == (6, 3, 32, 32)
        assert item.image.dtype == torch.float32
        assert 0 <= item.image.min() <= item.image.max() <= 1
        assert item.gt_mask.shape[-2:] == (128, 128)
        assert bool(item.gt_label) == bool(item.gt_mask.any())


def test_unlabelled_video_has_no_truth() -> None:
    item = ClipDataset([LabelledVideo(CountingVideo(6), 0, 6)], "test", 6)[0]
    assert item.gt_label is None
    assert item.gt_mask is None


def test_batch_keeps_paths_frames_and_labels() -> None:
    dataset = ClipDataset([LabelledVideo(CountingVideo(8), 0, 8, np.zeros(8, bool))], "val", 6)
    batch = collate_clips([dataset[i] for i in range(3)])
    assert batch.image.shape == (3, 6, 3, 4, 6)
    assert batch.frames.tolist() == [5, 6, 7]
    assert batch.gt_label.tolist() == [False] * 3


def test_mixed_sizes_are_refused_by_name() -> None:
    one = ClipDataset([LabelledVideo(CountingVideo(6), 0, 6)], "test", 6)[0]
    other = ClipDataset([LabelledVideo(CountingVideo(6), 0, 6)], "test", 6)
    other.augmentations = Resize([8, 8])
    with pytest.raises(ValueError, match=r"4x6.*8x8.*image_size"):
        collate_clips([one, other[0]])


def test_subset_of_videos_keeps_its_clips() -> None:
    videos = [LabelledVideo(CountingVideo(n), 0, n) for n in (5, 4, 6)]
    assert len(ClipDataset(videos, "test", 3).subsample([2, 0])) == 4 + 3
