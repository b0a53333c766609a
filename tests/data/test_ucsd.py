from pathlib import Path

import numpy as np
import pytest
from conftest import TINY_DATA
from makers import square_masks, write_mask_images, write_numbered

from anomalib_stmem import UCSDClips
from anomalib_stmem.data.ucsd import read_stretches


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The official tree of Ped1 as far as it matters: masks of some clips, the rest in the ``.m`` file."""
    base = tmp_path / "UCSDped1"
    for number in (1, 2):
        write_numbered(base / "Train" / f"Train{number:03d}", 9, ".tif")
    for number in (1, 2, 3):
        write_numbered(base / "Test" / f"Test{number:03d}", 9, ".tif")
    write_mask_images(base / "Test" / "Test002_gt", square_masks(9, [6, 7]), "frame{:03d}.bmp")
    (base / "Test" / "UCSDped1.m").write_text(
        "TestVideoFile = {};\n"
        "TestVideoFile{end+1}.gt_frame = [3:4, 9];\n"
        "TestVideoFile{end+1}.gt_frame = [1:9];\n"
        "TestVideoFile{end+1}.gt_frame = [ 5 : 6 ];\n"
    )
    (base / "Train" / "Readme.txt").touch()
    (base / "Test" / ".DS_Store").touch()
    return tmp_path


def test_official_tree(root: Path) -> None:
    data = UCSDClips(root, "UCSDped1", **TINY_DATA)
    data.setup("fit")
    assert [v.name for v in data.train_data.videos + data.val_data.videos] == ["Train001", "Train002"]
    labels = {v.name: [f for f in range(9) if v.label(f)] for v in data.test_data.videos}
    assert labels == {"Test001": [2, 3, 8], "Test002": [6, 7], "Test003": [4, 5]}
    assert [v.masks is not None for v in data.test_data.videos] == [False, True, False]
    assert "by the .m file" in data.label_set
    batch = next(iter(data.test_dataloader()))
    assert batch.mask_known.tolist() == [False] * 4 + [True] * 4
    assert set(batch.frame_rate.tolist()) == {10.0}


def test_root_may_be_the_folder_of_the_category(root: Path) -> None:
    data = UCSDClips(root / "UCSDped1", "UCSDped1", **TINY_DATA)
    data.setup("test")
    assert len(data.test_data.videos) == 3


def test_missing_dataset_is_named_with_its_source(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"UCSD pedestrians needs its folder at .*UCSDped2.*svcl\.ucsd\.edu"):
        UCSDClips(tmp_path).setup("fit")


def test_clip_without_any_truth_is_named(root: Path) -> None:
    (root / "UCSDped1" / "Test" / "UCSDped1.m").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"Test001 has neither masks \(Test001_gt\) nor an entry in .*UCSDped1\.m"
    ):
        UCSDClips(root, "UCSDped1").setup("test")


def test_stretch_outside_the_clip_is_named(root: Path) -> None:
    (root / "UCSDped1" / "Test" / "UCSDped1.m").write_text("x.gt_frame = [3:12];\n" * 3)
    with pytest.raises(ValueError, match=r"UCSDped1\.m, clip 1: the interval 3:12 is not inside the frames 1 to 9"):
        UCSDClips(root, "UCSDped1").setup("test")


def test_unreadable_stretch_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.m").write_text("TestVideoFile{end+1}.gt_frame = [a:b];")
    with pytest.raises(ValueError, match=r"a\.m, clip 1: cannot read the stretches \[a:b\]"):
        read_stretches(tmp_path / "a.m")


def test_anomalib_reads_the_same_frames_from_this_root(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="anomalib's video datamodules demand av")
    from anomalib.data import UCSDped

    base = tmp_path / "UCSDped2"
    write_numbered(base / "Train" / "Train001", 9, ".tif")
    write_numbered(base / "Test" / "Test001", 9, ".tif")
    write_mask_images(base / "Test" / "Test001_gt", square_masks(9, [6, 7]))
    theirs = UCSDped(tmp_path, num_workers=0, clip_length_in_frames=6, frames_between_clips=1)
    theirs.setup()
    ours = UCSDClips(tmp_path, **TINY_DATA)
    ours.setup("test")
    assert len(theirs.test_data) == len(ours.test_data) == 4
    for index in range(4):
        np.testing.assert_allclose(theirs.test_data[index].image, ours.test_data[index].image, atol=1e-6)
        assert bool(theirs.test_data[index].gt_label) == bool(ours.test_data[index].gt_label)
