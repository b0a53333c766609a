from pathlib import Path

import numpy as np
import pytest
from conftest import TINY_DATA
from makers import square_masks, write_numbered, write_video

from anomalib_stmem import ShanghaiTechClips


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The official tree with two scenes."""
    for name in ("01_001", "01_002", "06_001"):
        write_video(tmp_path / "training" / "videos" / f"{name}.avi", 8)
    for kind in ("test_frame_mask", "test_pixel_mask"):
        (tmp_path / "testing" / kind).mkdir(parents=True)
    for name in ("01_0014", "06_0144"):
        write_numbered(tmp_path / "testing" / "frames" / name, 8)
        np.save(tmp_path / "testing" / "test_frame_mask" / f"{name}.npy", (np.arange(8) > 5).astype(np.int8))
        np.save(tmp_path / "testing" / "test_pixel_mask" / f"{name}.npy", square_masks(8, [6, 7]))
    return tmp_path


def names(videos: list) -> list[str]:
    return [video.name for video in videos]


def test_official_tree_takes_all_scenes(root: Path) -> None:
    data = ShanghaiTechClips(root, **TINY_DATA)
    data.setup("fit")
    assert names(data.train_data.videos + data.val_data.videos) == ["01_001", "01_002", "06_001"]
    assert names(data.test_data.videos) == ["01_0014", "06_0144"]
    batch = next(iter(data.test_dataloader()))
    assert batch.gt_label.tolist() == [False, True, True] * 2
    assert batch.gt_mask.flatten(1).any(dim=1).tolist() == batch.gt_label.tolist()


def test_chosen_scene(root: Path) -> None:
    data = ShanghaiTechClips(root, scenes=[6], **TINY_DATA)
    data.setup("test")
    assert names(data.test_data.videos) == ["06_0144"]
    assert data.label_set == "test_frame_mask, scenes [6]"


def test_anomalibs_converted_videos_are_found(root: Path) -> None:
    (root / "training" / "videos").rename(root / "training" / "converted_videos")
    data = ShanghaiTechClips(root, **TINY_DATA)
    data.setup("fit")
    assert len(data.train_data.videos) == 2


def test_without_pixel_masks_frames_are_still_labelled(root: Path) -> None:
    (root / "testing" / "test_pixel_mask").rename(root / "elsewhere")
    data = ShanghaiTechClips(root, **TINY_DATA)
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    assert batch.gt_mask is None
    assert batch.gt_label.any()


def test_frames_are_counted_against_the_labels(root: Path) -> None:
    (root / "testing" / "frames" / "06_0144" / "008.jpg").unlink()
    with pytest.raises(ValueError, match=r"There are 8 labels for .*06_0144, which has 7 frames"):
        ShanghaiTechClips(root).setup("test")


def test_what_is_missing_is_named_with_its_source(root: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"ShanghaiTech Campus needs the frames of the test videos.*svip-lab"):
        ShanghaiTechClips(tmp_path / "nowhere").setup("fit")
    (root / "testing" / "test_frame_mask" / "06_0144.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"the labels of video 06_0144 at"):
        ShanghaiTechClips(root).setup("test")
    with pytest.raises(FileNotFoundError, match=r"no video of the scenes \[3\]"):
        ShanghaiTechClips(root, scenes=[3]).setup("test")


@pytest.mark.parametrize("scenes", [[0], [14], []])
def test_unknown_scenes_are_refused(root: Path, scenes: list[int]) -> None:
    with pytest.raises(ValueError, match="scenes must be numbers from 1 to 13"):
        ShanghaiTechClips(root, scenes=scenes)
