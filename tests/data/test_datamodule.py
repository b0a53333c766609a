import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY_DATA

from anomalib_stmem import VideoFolder, WalkwayDemo, write_scene
from anomalib_stmem.data.datamodule import hold_out
from anomalib_stmem.data.labels import LabelledVideo


class Stub:
    """Enough of a video to be split."""

    def __init__(self, num_frames: int) -> None:
        self.num_frames = num_frames


def names(dataset) -> list[str]:  # noqa: ANN001
    return [Path(path).stem for path in dataset.samples.image_path]


def test_field_layout_is_found_without_options(scene: Path) -> None:
    data = VideoFolder(scene, **TINY_DATA)
    data.setup("fit")
    assert names(data.train_data) == ["01", "02"]
    assert names(data.val_data) == ["03"]
    assert names(data.test_data) == ["01", "02"]
    assert len(data.test_data) == 2 * (24 - 5)
    batch = next(iter(data.test_dataloader()))
    assert batch.image.shape == (8, 6, 3, 128, 128)
    assert batch.gt_mask.shape == (8, 128, 128)


def test_held_out_frames_are_labelled_normal(scene: Path) -> None:
    data = VideoFolder(scene, **TINY_DATA)
    data.setup("fit")
    assert not next(iter(data.val_dataloader())).gt_label.any()


def test_video_files_are_read_too(tmp_path: Path) -> None:
    write_scene(tmp_path, num_training=2, num_testing=1, num_frames=12, as_videos=True)
    data = VideoFolder(tmp_path, cache_dir=tmp_path / "cache", **TINY_DATA)
    data.setup("fit")
    assert [Path(path).name for path in data.train_data.samples.image_path] == ["01.avi"]
    assert next(iter(data.test_dataloader())).gt_mask is not None


def test_own_videos_without_truth_can_be_predicted(tmp_path: Path, scene: Path) -> None:
    shutil.copytree(scene / "testing" / "frames", tmp_path / "new")
    data = VideoFolder(tmp_path, test_dir="new", **TINY_DATA)
    data.setup("predict")
    batch = next(iter(data.predict_dataloader()))
    assert batch.gt_label is None
    assert not hasattr(data, "train_data")


def test_videos_are_not_shuffled_for_judging(scene: Path) -> None:
    data = VideoFolder(scene, **TINY_DATA)
    data.setup("test")
    frames = [int(f) for batch in data.test_dataloader() for f in batch.frames]
    assert frames == [*range(5, 24)] * 2


@pytest.mark.parametrize(("count", "held"), [(2, [1]), (5, [4]), (6, [5]), (12, [5, 11]), (16, [5, 11])], ids=str)
def test_hold_out_is_a_fixed_rule(count: int, held: list[int]) -> None:
    videos = [LabelledVideo(Stub(20), 0, 20) for _ in range(count)]
    kept, out = hold_out(videos)
    assert [videos.index(video) for video in out] == held
    assert len(kept) == count - len(held)


def test_one_video_is_held_out_in_time() -> None:
    kept, out = hold_out([LabelledVideo(Stub(60), 0, 60)])
    assert (kept[0].first, kept[0].last, out[0].first, out[0].last) == (0, 50, 50, 60)


def test_same_as_test_validates_on_the_test_videos(scene: Path) -> None:
    data = VideoFolder(scene, val_split_mode="same_as_test", **TINY_DATA)
    data.setup("fit")
    assert names(data.train_data) == ["01", "02", "03"]
    assert data.val_data is data.test_data


def test_none_trains_on_everything_and_says_what_that_costs(scene: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = VideoFolder(scene, val_split_mode="none", **TINY_DATA)
    data.setup("fit")
    assert names(data.train_data) == ["01", "02", "03"]
    assert names(data.val_data) == ["03"]
    assert "threshold is too low" in caplog.text


def test_other_splits_are_refused(scene: Path) -> None:
    with pytest.raises(ValueError, match=r"val_split_mode must be one of .*from_train.*got 'synthetic'"):
        VideoFolder(scene, val_split_mode="synthetic")


def test_missing_videos_are_named_with_the_option(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"normal videos.*--data\.train_dir"):
        VideoFolder(tmp_path).setup("fit")
    with pytest.raises(FileNotFoundError, match=r"videos to judge.*--data\.test_dir"):
        VideoFolder(tmp_path).setup("test")


def test_abnormal_training_labels_are_refused(tmp_path: Path, scene: Path) -> None:
    shutil.copytree(scene / "training", tmp_path / "training")
    labels = np.zeros(72, np.uint8)
    labels[30] = 1
    np.save(tmp_path / "training" / "frame_labels.npy", labels)
    with pytest.raises(ValueError, match=r"frame 6 of .*02 as abnormal"):
        VideoFolder(tmp_path).setup("fit")


def test_demo_scene_is_drawn_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from anomalib_stmem.data import demo

    drawn = []

    def draw(root: Path, seed: int) -> None:
        drawn.append(seed)
        write_scene(root, num_training=2, num_testing=1, num_frames=12, seed=seed)

    monkeypatch.setattr(demo, "write_scene", draw)
    for _ in range(2):
        data = WalkwayDemo(tmp_path, scene_seed=3, **TINY_DATA)
        data.prepare_data()
    data.setup("fit")
    assert drawn == [3]
    assert len(data.test_data) == 7
    assert not list(tmp_path.glob("*.part"))
