import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY_DATA
from makers import square_masks, write_mask_images, write_numbered, write_video

from anomalib_stmem import VideoFolder, write_scene


def labels(data: VideoFolder) -> dict[str, list[int]]:
    return {v.name: [f for f in range(v.last) if v.label(f)] for v in data.test_data.videos}


def test_field_layout_needs_no_options(scene: Path) -> None:
    data = VideoFolder(scene, **TINY_DATA)
    data.setup("fit")
    assert [video.name for video in data.train_data.videos + data.val_data.videos] == ["01", "02", "03"]
    assert data.label_set == "frame labels of frame_labels.npy"
    assert len(labels(data)["01"]) == np.load(scene / "testing" / "frame_labels.npy")[:24].sum()


def test_video_files_beside_masks(tmp_path: Path) -> None:
    write_scene(tmp_path, num_training=2, num_testing=1, num_frames=12, as_videos=True)
    data = VideoFolder(tmp_path, **TINY_DATA)
    data.setup("fit")
    assert [Path(path).name for path in data.train_data.samples.image_path] == ["01.avi"]
    assert next(iter(data.test_dataloader())).gt_mask is not None


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Videos of two cameras, nested, of both kinds."""
    write_numbered(tmp_path / "normal" / "gate" / "monday", 8)
    write_video(tmp_path / "normal" / "yard" / "monday.avi", 8)
    write_numbered(tmp_path / "test" / "gate" / "friday", 8, size=(16, 32))
    write_video(tmp_path / "test" / "yard" / "friday 10.avi", 8)
    write_video(tmp_path / "test" / "yard" / "friday 9.avi", 8)
    return tmp_path


@pytest.mark.parametrize("test_dir", [None, "test"])
def test_own_videos_of_any_nesting_with_intervals(own: Path, test_dir: str | None) -> None:
    (own / "labels.csv").write_text("video,start,end\nyard/friday 9,6,7\ngate/friday,0,1\n")
    data = VideoFolder(own, test_dir=test_dir, **TINY_DATA)
    data.setup("fit")
    assert [video.name for video in data.train_data.videos] == ["gate/monday"]
    assert [video.name for video in data.val_data.videos] == ["yard/monday"]
    assert labels(data) == {"gate/friday": [0, 1], "yard/friday 9": [6, 7], "yard/friday 10": []}
    assert data.label_set == "frame labels of labels.csv"


def test_intervals_belong_to_the_usual_test_videos(own: Path) -> None:
    (own / "labels.csv").write_text("video,start,end\nyard/friday 9,6,7\n")
    (own / "test").rename(own / "later")
    data = VideoFolder(own, test_dir="later", **TINY_DATA)
    data.setup("predict")
    assert data.test_data[0].gt_label is None


def test_own_labels_as_a_file_per_video(own: Path) -> None:
    for name in ("gate/friday", "yard/friday 9", "yard/friday 10"):
        path = own / "truth" / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.arange(8) == 5)
    data = VideoFolder(own, label_file="truth", **TINY_DATA)
    data.setup("test")
    assert set(map(tuple, labels(data).values())) == {(5,)}


def test_own_masks_by_name(own: Path) -> None:
    masks = square_masks(8, [3], (16, 32))
    write_mask_images(own / "m" / "gate" / "friday", masks)
    (own / "m" / "yard").mkdir()
    for name in ("friday 9", "friday 10"):
        np.save(own / "m" / "yard" / f"{name}.npy", masks)
    data = VideoFolder(own, mask_dir="m", **TINY_DATA)
    data.setup("test")
    assert set(map(tuple, labels(data).values())) == {(3,)}
    assert data.label_set == "any pixel of the mask"


def test_video_without_masks_is_named(own: Path) -> None:
    (own / "m").mkdir()
    with pytest.raises(FileNotFoundError, match="No masks for video gate/friday in"):
        VideoFolder(own, mask_dir="m", **TINY_DATA).setup("test")


def test_truth_that_is_not_there_is_named(own: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no .*nowhere\.csv"):
        VideoFolder(own, label_file="nowhere.csv", **TINY_DATA).setup("test")


def test_videos_without_truth_can_be_predicted(tmp_path: Path, scene: Path) -> None:
    shutil.copytree(scene / "testing" / "frames", tmp_path / "new")
    data = VideoFolder(tmp_path, test_dir="new", **TINY_DATA)
    data.setup("predict")
    assert next(iter(data.predict_dataloader())).gt_label is None
    assert not hasattr(data, "train_data")


def test_missing_videos_are_named_with_the_option(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"normal videos.*--data\.train_dir"):
        VideoFolder(tmp_path).setup("fit")
    with pytest.raises(FileNotFoundError, match=r"videos to judge.*--data\.test_dir"):
        VideoFolder(tmp_path).setup("test")


def test_abnormal_training_labels_are_refused(tmp_path: Path, scene: Path) -> None:
    shutil.copytree(scene / "training", tmp_path / "training")
    values = np.zeros(72, np.uint8)
    values[30] = 1
    np.save(tmp_path / "training" / "frame_labels.npy", values)
    with pytest.raises(ValueError, match=r"Frame 6 of .*02 is labelled abnormal"):
        VideoFolder(tmp_path).setup("fit")
