import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from anomalib_stmem.data.frames import FrameFolder, Video
from anomalib_stmem.data.labels import LabelledVideo, find_masks, load_labels


@pytest.fixture
def videos(scene: Path) -> list[Video]:
    return [FrameFolder(scene / "testing" / "frames" / name) for name in ("01", "02")]


def test_labels_are_split_by_video(tmp_path: Path, videos: list[Video]) -> None:
    values = np.arange(48) % 5 == 0
    np.save(tmp_path / "labels.npy", values.astype(np.uint8))
    first, second = load_labels(tmp_path / "labels.npy", videos)
    np.testing.assert_array_equal(np.concatenate([first, second]), values)
    assert len(first) == 24


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (np.zeros(47), r"holds 47 labels, but the videos have 48 frames \(01: 24, 02: 24\)"),
        (np.full(48, 2), "other than 0"),
    ],
)
def test_wrong_labels_are_refused(tmp_path: Path, videos: list[Video], values: np.ndarray, complaint: str) -> None:
    np.save(tmp_path / "labels.npy", values)
    with pytest.raises(ValueError, match=complaint):
        load_labels(tmp_path / "labels.npy", videos)


def test_missing_label_file_is_named(tmp_path: Path, videos: list[Video]) -> None:
    with pytest.raises(FileNotFoundError, match=r"labels\.npy"):
        load_labels(tmp_path / "labels.npy", videos)


def test_label_is_any_pixel_of_the_mask(scene: Path, videos: list[Video]) -> None:
    masks = find_masks(scene / "testing" / "masks", videos)
    labels = np.load(scene / "testing" / "frame_labels.npy")
    for number, (video, own) in enumerate(zip(videos, masks, strict=True)):
        labelled = LabelledVideo(video, 0, 24, None, own)
        assert [labelled.label(frame) for frame in range(24)] == (labels[24 * number : 24 * number + 24] > 0).tolist()


def test_label_file_wins_over_the_mask(scene: Path, videos: list[Video]) -> None:
    masks = find_masks(scene / "testing" / "masks", videos)[0]
    assert LabelledVideo(videos[0], 0, 24, np.ones(24, bool), masks).label(0) is True


def test_no_truth_is_none(videos: list[Video]) -> None:
    labelled = LabelledVideo(videos[0], 0, 24)
    assert labelled.label(3) is None
    assert labelled.mask(3) is None


def test_mask_count_must_match(tmp_path: Path, scene: Path, videos: list[Video]) -> None:
    shutil.copytree(scene / "testing" / "masks", tmp_path / "masks")
    (tmp_path / "masks" / "02" / "005.png").unlink()
    with pytest.raises(ValueError, match=r"02 holds 23 masks, but .*02 has 24 frames"):
        find_masks(tmp_path / "masks", videos)


def test_video_without_masks_is_named(tmp_path: Path, scene: Path, videos: list[Video]) -> None:
    shutil.copytree(scene / "testing" / "masks" / "01", tmp_path / "masks" / "01")
    with pytest.raises(FileNotFoundError, match="No masks for video 02"):
        find_masks(tmp_path / "masks", videos)


def test_mask_of_another_size_is_named(tmp_path: Path, videos: list[Video]) -> None:
    cv2.imwrite(str(tmp_path / "m.png"), np.zeros((4, 4), np.uint8))
    labelled = LabelledVideo(videos[0], 0, 24, None, [tmp_path / "m.png"] * 24)
    with pytest.raises(ValueError, match=r"m\.png is \(4, 4\)"):
        labelled.mask(0)
