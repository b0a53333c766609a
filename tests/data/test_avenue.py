from pathlib import Path

import numpy as np
import pytest
import scipy.io
from conftest import TINY_DATA
from makers import square_masks, write_mask_images, write_mat, write_video

from anomalib_stmem import AvenueClips

SIZE = (16, 32)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The official tree with three test videos, of which one is not at hand, as in a part of the dataset."""
    for number in (1, 2):
        write_video(tmp_path / "training_videos" / f"{number:02d}.avi", 8)
    for number in (2, 10):
        write_video(tmp_path / "testing_videos" / f"{number:02d}.avi", 8)
    for number in (1, 2, 10):
        masks = square_masks(8, [5, 6] if number == 10 else [2], SIZE)
        write_mat(tmp_path / "ground_truth_demo" / "testing_label_mask" / f"{number}_label.mat", masks)
    return tmp_path


def labels(data: AvenueClips) -> dict[str, list[int]]:
    return {v.name: [f for f in range(8) if v.label(f)] for v in data.test_data.videos}


def test_official_tree_under_pixel_labels(root: Path) -> None:
    data = AvenueClips(root, **TINY_DATA)
    data.setup("fit")
    assert [v.name for v in data.train_data.videos + data.val_data.videos] == ["01", "02"]
    assert labels(data) == {"02": [2], "10": [5, 6]}
    assert data.label_set.startswith("pixels")


def test_other_label_set_as_intervals(root: Path) -> None:
    stretches = np.empty((1, 10), object)
    for video in range(10):
        stretches[0, video] = np.array([[1, 8], [2, 8]]) if video == 9 else np.array([[3], [4]])
    scipy.io.savemat(root / "avenue.mat", {"gt": stretches})
    data = AvenueClips(root, labels="frames", **TINY_DATA)
    data.setup("test")
    assert labels(data) == {"02": [2, 3], "10": [0, 1, 7]}
    assert data.label_set == "frames: intervals of avenue.mat"
    assert data.test_data.videos[1].mask(5).any()  # the masks still serve the pixel metrics


def test_other_label_set_as_one_array_over_all_test_videos(root: Path) -> None:
    np.save(root / "all.npy", np.concatenate([np.ones(8), np.zeros(8), np.arange(8) == 4])[None])
    data = AvenueClips(root, labels="frames", label_file="all.npy", **TINY_DATA)
    data.setup("test")
    assert labels(data) == {"02": [], "10": [4]}


def test_masks_as_images_beside_the_mat_win_as_in_anomalib(root: Path) -> None:
    folder = root / "ground_truth_demo" / "testing_label_mask" / "2_label"
    write_mask_images(folder, square_masks(8, [7], SIZE), "{:04d}.png")
    data = AvenueClips(root, **TINY_DATA)
    data.setup("test")
    assert labels(data)["02"] == [7]


def test_masks_elsewhere(root: Path) -> None:
    (root / "ground_truth_demo").rename(root / "truth")
    data = AvenueClips(root, gt_dir=root / "truth", **TINY_DATA)
    data.setup("test")
    assert labels(data)["02"] == [2]


def test_what_is_missing_is_named_with_its_source(root: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"Avenue needs the test videos at .*testing_videos.*cse\.cuhk\.edu"):
        AvenueClips(tmp_path / "nowhere").setup("fit")
    with pytest.raises(FileNotFoundError, match=r'label set "frames".*avenue\.mat'):
        AvenueClips(root, labels="frames").setup("test")
    (root / "ground_truth_demo" / "testing_label_mask" / "2_label.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"the masks of video 02 at .*2_label\.mat"):
        AvenueClips(root).setup("test")


def test_unknown_label_set_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match="labels must be 'pixels' or 'frames'; got 'hasan'"):
        AvenueClips(root, labels="hasan")


def test_video_with_another_number_of_masks_is_named(root: Path) -> None:
    write_video(root / "testing_videos" / "02.avi", 9)
    with pytest.raises(ValueError, match=r"There are 8 masks in .*2_label\.mat for .*02\.avi, which has 9 frames"):
        AvenueClips(root).setup("test")
