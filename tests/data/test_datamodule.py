import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import TINY_DATA

from anomalib_stmem import FrameDifference, STMem, VideoFolder, WalkwayDemo, write_scene
from anomalib_stmem.data import datamodule, labels
from anomalib_stmem.data.datamodule import hold_out
from anomalib_stmem.data.labels import LabelledVideo


class Stub:
    """Enough of a video to be split."""

    def __init__(self, num_frames: int) -> None:
        self.num_frames = num_frames


def stretch(num_frames: int) -> LabelledVideo:
    return LabelledVideo("v", Stub(num_frames), 0, num_frames)


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


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("cached", [False, True])
def test_frames_are_read_in_the_size_asked_for_however_they_are_read(
    tmp_path: Path, scene: Path, workers: int, cached: bool
) -> None:
    options = TINY_DATA | {"num_workers": workers, "image_size": (16, 24)}
    data = VideoFolder(scene, cache_dir=tmp_path / "cache" if cached else None, **options)
    data.setup("test")
    plain = VideoFolder(scene, **TINY_DATA, image_size=(16, 24))
    plain.setup("test")
    expected = {
        (b.video_name[k], int(b.frames[k])): b.image[k] for b in plain.test_dataloader() for k in range(len(b.image))
    }
    seen = {
        (b.video_name[k], int(b.frames[k])): b.image[k] for b in data.test_dataloader() for k in range(len(b.image))
    }
    assert seen.keys() == expected.keys()
    assert len(seen) == 2 * 19
    for key, clip in seen.items():
        assert clip.shape == (6, 3, 16, 24)
        assert (clip == expected[key]).all()


def test_size_is_the_models_unless_named(scene: Path) -> None:
    data = VideoFolder(scene, **TINY_DATA)
    data.trainer = SimpleNamespace(lightning_module=STMem(image_size=(24, 32)), model=None)
    data.setup("test")
    assert data.test_data.__getitems__([0]).image.shape[-2:] == (24, 32)
    data.trainer.lightning_module = STMem(image_size=(16, 16))
    data.setup("test")
    assert data.test_data.__getitems__([0]).image.shape[-2:] == (16, 16)


def test_models_of_windows_get_windows_and_stmem_whole_clips(scene: Path) -> None:
    data = VideoFolder(scene, eval_clip_length=10, **TINY_DATA)
    lengths = []
    for model in (STMem(image_size=(16, 16)), FrameDifference(image_size=(16, 16))):
        data.trainer = SimpleNamespace(lightning_module=model, model=None)
        data.setup("test")
        lengths.append((data.test_data.clip_length_in_frames, data.test_data.num_judged))
    assert lengths == [(10, 2 * 19), (6, 2 * 19)]


def test_devices_judge_each_frame_once_and_train_as_many_steps(scene: Path) -> None:
    tested, steps = [], set()
    for rank in range(3):  # of 10 clips to judge
        data = VideoFolder(scene, eval_clip_length=9, **(TINY_DATA | {"eval_batch_size": 1}))
        strategy = SimpleNamespace(broadcast=lambda value: value)
        model = STMem(image_size=(16, 16))
        data.trainer = SimpleNamespace(
            lightning_module=model, model=None, world_size=3, global_rank=rank, strategy=strategy
        )
        data.setup("fit")
        data.setup("test")
        steps.add((len(data.train_dataloader()), len(data.val_dataloader())))
        tested += [
            (name, int(frame))
            for batch in data.test_dataloader()
            for name, frame in zip(batch.video_name, batch.frames, strict=True)
        ]
    assert sorted(tested) == [(name, frame) for name in ("01", "02") for frame in range(5, 24)]
    assert len(steps) == 1


def test_own_collate_function_gets_items(scene: Path) -> None:
    data = VideoFolder(scene, **TINY_DATA)
    data.external_collate_fn = len
    data.setup("test")
    assert next(iter(data.test_dataloader())) == 8


def test_videos_are_not_shuffled_for_judging(scene: Path) -> None:
    data = VideoFolder(scene, **TINY_DATA)
    data.setup("test")
    frames = [int(f) for batch in data.test_dataloader() for f in batch.frames]
    assert frames == [*range(5, 24)] * 2


@pytest.mark.parametrize(("count", "held"), [(2, [1]), (5, [4]), (6, [5]), (12, [5, 11]), (16, [5, 11])], ids=str)
def test_hold_out_is_a_fixed_rule(count: int, held: list[int]) -> None:
    videos = [stretch(20) for _ in range(count)]
    kept, out = hold_out(videos)
    assert [videos.index(video) for video in out] == held
    assert len(kept) == count - len(held)


def test_of_much_held_out_video_a_part_is_judged_and_that_is_said(
    scene: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "SHORTEST", 6)
    monkeypatch.setattr(datamodule, "spread", partial(labels.spread, most=12))
    caplog.set_level("INFO")
    data = VideoFolder(scene, **TINY_DATA)
    data.setup("fit")
    total = int(re.search(r"Of (\d+) frames that are held out, 12 are judged", caplog.text)[1])
    first, last = data.val_data.videos
    assert (first.first, first.last, last.last) == (0, 6, total)


def test_one_video_is_held_out_in_time() -> None:
    (kept,), (out,) = hold_out([replace(stretch(60), share=0.5)])
    assert (kept.first, kept.last, out.first, out.last) == (0, 50, 50, 60)
    assert kept.share == out.share == 0.5


def test_same_as_test_validates_on_the_test_videos_and_says_so(scene: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = VideoFolder(scene, val_split_mode="same_as_test", **TINY_DATA)
    data.setup("fit")
    assert names(data.train_data) == ["01", "02", "03"]
    assert data.val_data is data.test_data
    assert "fitted on the test labels" in caplog.text


def test_none_trains_on_everything_and_says_what_that_costs(scene: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = VideoFolder(scene, val_split_mode="none", **TINY_DATA)
    data.setup("fit")
    assert names(data.train_data) == ["01", "02", "03"]
    assert names(data.val_data) == ["03"]
    assert "threshold is too low" in caplog.text


def test_other_splits_are_refused(scene: Path) -> None:
    with pytest.raises(ValueError, match=r"val_split_mode must be one of .*from_train.*got 'synthetic'"):
        VideoFolder(scene, val_split_mode="synthetic")


@pytest.mark.parametrize("option", ["frames_between_clips", "frame_rate"])
def test_numbers_must_be_above_zero(scene: Path, option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be above 0"):
        VideoFolder(scene, **{option: 0})


@pytest.mark.parametrize("length", [0, 5])
def test_training_clips_hold_a_frame_to_predict(scene: Path, length: int) -> None:
    with pytest.raises(ValueError, match=f"train_clip_length must be at least clip_length_in_frames, 6.*got {length}"):
        VideoFolder(scene, train_clip_length=length)


def test_training_clips_are_short_and_few_unless_told_otherwise(scene: Path) -> None:
    data = VideoFolder(scene, num_workers=0)
    data.setup("fit")
    assert next(iter(data.train_dataloader())).image.shape[:2] == (1, 9)
    assert len(data.train_data) == 2 * len(range(0, 24 - 9 + 1, 4))


def test_demo_scene_is_drawn_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from anomalib_stmem.data import walkway

    drawn = []

    def draw(root: Path, seed: int) -> None:
        drawn.append(seed)
        write_scene(root, num_training=2, num_testing=1, num_frames=12, seed=seed)

    monkeypatch.setattr(walkway, "write_scene", draw)
    for _ in range(2):
        data = WalkwayDemo(tmp_path, scene_seed=3, **TINY_DATA)
        data.prepare_data()
    data.setup("fit")
    assert drawn == [3]
    assert len(data.test_data) == 7
    assert list(tmp_path.rglob("v1*")) == [data.root]


def test_two_processes_may_draw_the_demo_scene_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from anomalib_stmem.data import walkway

    begun = []

    def draw(root: Path, seed: int) -> None:
        begun.append(seed)
        if len(begun) == 1:  # the other one begins later and ends sooner
            WalkwayDemo(tmp_path, scene_seed=3, **TINY_DATA).prepare_data()
        write_scene(root, num_training=2, num_testing=1, num_frames=12, seed=seed)

    monkeypatch.setattr(walkway, "write_scene", draw)
    data = WalkwayDemo(tmp_path, scene_seed=3, **TINY_DATA)
    data.prepare_data()
    data.setup("fit")
    assert begun == [3, 3]
    assert list(tmp_path.rglob("v1*")) == [data.root]
