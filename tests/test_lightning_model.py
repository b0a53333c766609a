"""STMem under anomalib's engine: what a run leaves behind, and what it refuses."""

import io
import json
import random
import shutil
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
import torch
from anomalib.data import ImageBatch, VideoBatch
from anomalib.engine import Engine
from anomalib.post_processing import PostProcessor
from anomalib.pre_processing import PreProcessor
from conftest import TINY_DATA, TINY_MODEL
from makers import write_video
from torchvision.transforms.v2 import Compose, Normalize, RandomVerticalFlip, Resize

from anomalib_stmem import STMem, TrainedModel, VideoFolder, VideoPaths, lightning_model
from anomalib_stmem.model.scoring import MEASUREMENTS
from anomalib_stmem.shell.batch import as_judged_batch
from anomalib_stmem.video.frame_rate import _warn_once


def tiny(**options) -> STMem:  # noqa: ANN003
    return STMem(**(TINY_MODEL | {"learning_rate": 1e-3} | options))


def engine(root: Path, **options) -> Engine:  # noqa: ANN003
    defaults = {"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False}
    return Engine(default_root_dir=root, **(defaults | options))


def data(scene: Path, **options) -> VideoFolder:  # noqa: ANN003
    return VideoFolder(scene, **(TINY_DATA | options))


@pytest.fixture(scope="module")
def run(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, STMem, Path, dict]:
    """One training with its test."""
    root = tmp_path_factory.mktemp("run")
    started, model = engine(root, max_epochs=2), tiny()
    (results,) = started.train(model, datamodule=data(scene))
    return started, model, root / "STMem" / "VideoFolder" / "v0", results


def test_training_ends_with_anomalibs_metrics(run: tuple) -> None:
    results = dict(run[3])
    assert results.pop("FalseAlarmsPerHour") >= 0
    assert np.isnan(results.pop("median_AlarmDelay")) or results.pop("p90_AlarmDelay") >= 0
    results.pop("p90_AlarmDelay", None)
    assert set(results) == {
        *("image_AUROC", "image_F1Score", "image_AveragePrecision", "image_EqualErrorRate"),
        *("macro_VideoAUROC", "padded_macro_VideoAUROC", "per_video_VideoAUROC"),
        *("pixel_AUROC", "pixel_F1Score", "pixel_AUPRO", "RBDC", "TBDC"),
        *("EventsFound", "1_per_hour_EventsFoundAt", "10_per_hour_EventsFoundAt"),
    }
    assert all(0 <= value <= 1 for value in results.values())


def test_training_on_crops_judges_whole_frames(scene: Path, tmp_path: Path) -> None:
    model = tiny(image_size=(32, 32), train_crop=(16, 16))
    seen = []
    stream = model.model.temporal
    stream.register_forward_hook(lambda _, inputs, __: seen.append((model.training, inputs[0].shape[-2:])))
    engine(tmp_path).train(model, datamodule=data(scene))
    assert set(seen) == {(True, (16, 16)), (False, (32, 32))}


def test_every_judgeable_frame_is_on_record_once(run: tuple) -> None:
    frames = pd.read_csv(run[2] / "test" / "scores.csv")
    assert frames.groupby("video").frame.apply(list).tolist() == [[*range(5, 24)]] * 2
    assert frames.pred_score.between(0, 1).all()
    assert frames.label.isin((0, 1)).all()


def test_auroc_of_the_record_is_the_metric(run: tuple) -> None:
    from sklearn.metrics import roc_auc_score

    frames = pd.read_csv(run[2] / "test" / "scores.csv")
    assert roc_auc_score(frames.label, frames.pred_score) == pytest.approx(run[3]["image_AUROC"], abs=1e-4)
    assert roc_auc_score(frames.label, frames.score) == pytest.approx(run[3]["image_AUROC"], abs=1e-4)


def test_report_holds_every_protocol_the_controls_and_intervals(run: tuple) -> None:
    report = json.loads((run[2] / "test" / "report.json").read_text())
    assert report["tables"].keys() == {"none", "causal", "centred"}
    for table in report["tables"].values():
        assert table["control: constant"]["calibrated"] == table["control: constant"]["macro"] == 50
        for row in table.values():
            for how in ("none", "calibrated", "running", "per_video"):
                assert row[f"{how}_low"] <= row[how] <= row[f"{how}_high"]


def test_report_says_what_was_tested_on_what(run: tuple) -> None:
    report = json.loads((run[2] / "test" / "report.json").read_text())
    assert report["dataset"].startswith("VideoFolder at ")
    assert report["label_set"] == "frame labels of frame_labels.npy"
    assert (report["frames_judged"], report["frames_left_out"], report["seed"]) == (2 * 19, 2 * 5, 0)
    assert "expect" in report["threshold"]
    assert report["packages"]["anomalib"].startswith("2.")
    assert report["config"]["model"]["width"] == 2
    assert report["metrics"]["image_AUROC"] == pytest.approx(run[3]["image_AUROC"])


def test_report_is_a_page_to_read(run: tuple) -> None:
    page = (run[2] / "test" / "report.md").read_text()
    assert page.count("| control: frame difference |") == 4  # events, and three smoothings
    assert "| image_AUROC | 0." in page
    assert "Per-video min-max needs the whole test video" in page
    assert "have no past and are left out (10 frames)" in page


@pytest.mark.parametrize(
    "options",
    [
        {"eval_clip_length": 6},
        {"eval_clip_length": 7, "eval_batch_size": 3},
        {"eval_clip_length": 11, "eval_batch_size": 1, "num_workers": 2},
        {"eval_clip_length": 1000},
    ],
    ids=str,
)
def test_clips_of_any_length_give_the_results_of_windows(
    run: tuple, scene: Path, tmp_path: Path, options: dict
) -> None:
    path = run[2] / "weights" / "lightning" / "model.ckpt"
    (results,) = engine(tmp_path).test(tiny(), datamodule=data(scene, **options), ckpt_path=path)
    assert results == pytest.approx(run[3], abs=1e-4)
    (record,) = tmp_path.rglob("test*/scores.csv")
    frames, before = pd.read_csv(record), pd.read_csv(run[2] / "test" / "scores.csv")
    assert frames[["video", "frame", "label"]].equals(before[["video", "frame", "label"]])
    np.testing.assert_allclose(frames.score, before.score, atol=1e-4)
    np.testing.assert_allclose(frames["frame difference"], before["frame difference"], atol=1e-7)


def test_losses_and_memories_of_each_epoch_are_on_record(run: tuple) -> None:
    record = pd.read_csv(run[2] / "training.csv")
    assert record.epoch.tolist() == [0, 1]
    assert record.spatial_prediction_loss.iloc[1] < record.spatial_prediction_loss.iloc[0]
    assert record["memory/temporal/3/items_used"].between(0, 1).all()


def test_pictures_and_curves_are_drawn(run: tuple) -> None:
    assert (run[2] / "images" / "01_highest.png").stat().st_size > 1000
    assert (run[2] / "test" / "curves" / "01.png").stat().st_size > 1000
    assert (run[2] / "test" / "roc.png").stat().st_size > 1000
    assert (run[2] / "test" / "perspective.png").stat().st_size > 1000


def test_model_is_calibrated_on_held_out_video(run: tuple) -> None:
    assert run[1].post_processor.is_calibrated
    network = run[1].model
    measured = [MEASUREMENTS.index(name) for name in network.measured]
    assert (network.head.upper > network.head.lower)[measured].all()


def test_checkpoint_is_plain_data_and_judges_the_same(run: tuple, scene: Path, tmp_path: Path) -> None:
    path = run[2] / "weights" / "lightning" / "model.ckpt"
    torch.load(path, weights_only=True)
    (again,) = engine(tmp_path).test(tiny(), datamodule=data(scene), ckpt_path=path)
    (report,) = (json.loads(found.read_text()) for found in tmp_path.rglob("report.json"))
    assert report["protocol"] == "one_class, windows of 5 frames, after 2 epochs"
    assert report["calibrated_on"] == "held-out training videos"
    assert "model.ckpt (sha256 " in report["checkpoint"]
    assert again == pytest.approx(run[3], abs=1e-6)
    loaded = STMem.load_from_checkpoint(path)
    assert loaded.hparams.image_size == (16, 16)


def test_second_test_does_not_overwrite_the_first(run: tuple, scene: Path) -> None:
    before = (run[2] / "test" / "scores.csv").stat().st_mtime_ns
    run[0].test(run[1], datamodule=data(scene))
    assert (run[2] / "test" / "scores.csv").stat().st_mtime_ns == before
    assert list(run[2].rglob("test*/scores.csv")) != [run[2] / "test" / "scores.csv"]


def test_checkpoint_of_other_options_is_refused_with_the_flags(run: tuple, scene: Path, tmp_path: Path) -> None:
    other = tiny(memory_temperature=0.5, image_size=(24, 16))
    with pytest.raises(ValueError, match=r"--model\.image_size \[16,16\] --model\.memory_temperature 0\.1"):
        engine(tmp_path).test(other, datamodule=data(scene), ckpt_path=run[2] / "weights" / "lightning" / "model.ckpt")


def test_report_speaks_of_the_checkpoint_and_not_of_the_command_line(run: tuple, scene: Path, tmp_path: Path) -> None:
    """Seed, budget, basis and every option are those that made weights and threshold."""
    path = run[2] / "weights" / "lightning" / "model.ckpt"
    before = json.loads((run[2] / "test" / "report.json").read_text())
    other = tiny(seed=7, false_alarms_per_hour=123.0, learning_rate=0.5)
    engine(tmp_path).test(other, datamodule=data(scene), ckpt_path=path)
    (report,) = (json.loads(found.read_text()) for found in tmp_path.rglob("report.json"))
    assert (report["seed"], report["threshold"]) == (0, before["threshold"])
    assert report["config"]["model"] == before["config"]["model"]
    assert other.trained.options["false_alarms_per_hour"] == 1.0
    other.post_processor.false_alarms_per_hour = 50.0
    engine(tmp_path / "again").validate(other, datamodule=data(scene, frame_rate=10))
    assert other.trained.options["false_alarms_per_hour"] == 50.0  # which has set the threshold now
    assert "1200 a day" in other.trained.explain_threshold()


def test_checkpoint_without_its_trainer_is_the_same_model(run: tuple) -> None:
    path = run[2] / "weights" / "lightning" / "model.ckpt"
    loaded, shell = TrainedModel.load(path), STMem.load_from_checkpoint(path).eval()
    assert loaded.fingerprint() == shell.trained.fingerprint()
    assert (loaded.epochs, loaded.options) == (shell.trained.epochs, shell.trained.options)
    assert loaded.explain_threshold() == shell.trained.explain_threshold()
    clips = torch.rand(2, 7, 3, 16, 16)
    with torch.no_grad():
        for name, value in shell(clips)._asdict().items():
            torch.testing.assert_close(getattr(loaded(clips), name), value, atol=0, rtol=0, msg=name)


def test_grey_model_prepares_frames_as_torchvision_does() -> None:
    model = tiny(channels=1)
    frames = torch.rand(2, 6, 3, 16, 16)
    torch.testing.assert_close(model.trained.preparation(frames), model.pre_processor(frames), atol=0, rtol=0)


def test_model_with_components_of_its_own_takes_them_along() -> None:
    """A pre-processor that turns the picture, and anomalib's stock post-processor."""
    flipped = PreProcessor(Compose([RandomVerticalFlip(1.0), Normalize([0.5] * 3, [0.5] * 3)]))
    model = tiny(pre_processor=flipped, post_processor=PostProcessor()).eval()
    clips = torch.rand(1, 6, 3, 16, 16)
    with torch.no_grad():
        expected, found = model(clips), model.trained(clips)
        assert not torch.equal(tiny().eval()(clips).anomaly_map, expected.anomaly_map)
    torch.testing.assert_close(found.pred_score, expected.pred_score)
    assert not model.trained.is_calibrated
    assert "as the post-processor set it" in model.trained.explain_threshold()


@pytest.mark.parametrize(
    "steps",
    [
        [RandomVerticalFlip(1.0), Normalize([0.5] * 3, [0.5] * 3)],  # which anomalib cannot save
        [Resize((16, 16)), Normalize([0.4] * 3, [0.5] * 3)],  # as usual, but for the scale
    ],
    ids=["other steps", "other scale"],
)
def test_checkpoint_with_a_pre_processor_of_its_own_says_who_can_open_it(
    steps: list, scene: Path, tmp_path: Path
) -> None:
    own = PreProcessor(Compose(steps))
    engine(tmp_path).fit(tiny(pre_processor=own), datamodule=data(scene, image_size=(16, 16)))
    (path,) = tmp_path.rglob("model.ckpt")
    with pytest.raises(ValueError, match=r"pre-processor of its own.*STMem\.load_from_checkpoint"):
        TrainedModel.load(path)


def test_building_a_model_leaves_every_generator_alone() -> None:
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    first, second = tiny(seed=3), tiny(seed=3)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert random.getstate() == before[2]
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)
    third = tiny(seed=None)
    assert not torch.equal(torch.get_rng_state(), before[0])  # without a seed the process's own generator draws
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), third.parameters(), strict=True))


def test_training_follows_from_the_seed_whatever_was_drawn_before(scene: Path, tmp_path: Path) -> None:
    """Crops and order of the clips too."""
    weights = []
    for number in (1, 2):
        model = tiny(image_size=(32, 32), train_crop=(16, 16))
        torch.manual_seed(number)
        engine(tmp_path / str(number), max_steps=3, limit_val_batches=1).fit(model, datamodule=data(scene))
        weights.append(torch.cat([parameter.detach().ravel() for parameter in model.parameters()]))
    torch.testing.assert_close(weights[0], weights[1], atol=0, rtol=0)


@pytest.mark.parametrize("stream", ["spatial", "temporal"])
def test_single_stream_is_not_said_to_have_the_other(stream: str, scene: Path, tmp_path: Path) -> None:
    other = {"spatial": "temporal", "temporal": "spatial"}[stream]
    engine(tmp_path, limit_train_batches=1).train(tiny(streams=stream), datamodule=data(scene))
    (folder,) = tmp_path.rglob("test")
    frames = pd.read_csv(folder / "scores.csv")
    assert not [name for name in frames if name.endswith((f"_{other}", "_both"))]
    rows = json.loads((folder / "report.json").read_text())["tables"]["none"]
    assert [name for name in rows if name.startswith("error")] == ["error of sum", f"error of {stream}"]
    assert f"error of {other}" not in (folder / "report.md").read_text()


def test_unknown_frame_rate_stays_unknown_until_somebody_says_it(
    scene: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _warn_once.cache_clear()
    model = tiny()
    engine(tmp_path / "unknown").train(model, datamodule=data(scene))
    assert model.trained.frame_rate is None
    assert "counted at an assumed frame rate" in model.trained.explain_threshold()
    for what in ("The hours behind the threshold", "Films and events", "Events and false alarms per hour"):
        said = f"{what}: the frame rate is not known, so 25 frames per second are assumed. Say the real one with"
        assert caplog.text.count(said) == 1
    known = tiny()
    engine(tmp_path / "known").fit(known, datamodule=data(scene, frame_rate=10))
    assert known.trained.frame_rate == 10
    assert known.trained.proportion == 1
    wide = write_video(tmp_path / "wide.avi", 12, size=(32, 64))
    with pytest.raises(ValueError, match=r"64x32 pixels, 2\.00 times as wide as high; the training video's was 1\.00"):
        engine(tmp_path / "wide").predict(known, datamodule=VideoPaths(wide))
    assert float(known.post_processor.normal_hours) == pytest.approx(2.5 * float(model.post_processor.normal_hours))


@pytest.mark.parametrize("older", ["option", "measurement"])
def test_checkpoint_of_an_earlier_state_is_refused(run: tuple, tmp_path: Path, older: str) -> None:
    checkpoint = torch.load(run[2] / "weights" / "lightning" / "model.ckpt", weights_only=True)
    if older == "option":
        del checkpoint["hyper_parameters"]["score_relative"]
    else:
        checkpoint["state_dict"]["model.head.lower"] = checkpoint["state_dict"]["model.head.lower"][1:]
    torch.save(checkpoint, tmp_path / "old.ckpt")
    with pytest.raises(ValueError, match=r"earlier state.*, before (--model\.score_relative|there were)"):
        STMem.load_from_checkpoint(tmp_path / "old.ckpt")


def test_resuming_goes_on_where_it_stopped(run: tuple, scene: Path, tmp_path: Path) -> None:
    path = run[2] / "weights" / "lightning" / "model.ckpt"
    saved = torch.load(path, weights_only=True)["global_step"]
    resumed, model = engine(tmp_path, max_epochs=3), tiny()
    resumed.fit(model, datamodule=data(scene), ckpt_path=path)
    assert resumed.trainer.global_step == saved * 3 // 2


def test_learning_rate_falls_along_a_cosine_also_after_resuming_for_longer(
    run: tuple, scene: Path, tmp_path: Path
) -> None:
    path = run[2] / "weights" / "lightning" / "model.ckpt"
    resumed, model = engine(tmp_path, max_epochs=4), tiny()
    rates = []
    model.on_train_batch_start = lambda *_: rates.append(model.optimizers().param_groups[0]["lr"])
    resumed.fit(model, datamodule=data(scene), ckpt_path=path)
    steps = len(rates) * 2  # two of four epochs ran before
    expected = [1e-3 * (1 + np.cos(np.pi * step / steps)) / 2 for step in range(len(rates) + 1, steps)]
    np.testing.assert_allclose(rates[1:], expected, rtol=1e-6)


def test_same_seed_same_numbers_other_seed_others(scene: Path, tmp_path: Path) -> None:
    weights = []
    for number, seed in enumerate((1, 1, 2)):
        model = tiny(seed=seed)
        engine(tmp_path / str(number), max_steps=3, limit_val_batches=1).fit(model, datamodule=data(scene))
        weights.append(torch.cat([parameter.detach().ravel() for parameter in model.parameters()]))
    torch.testing.assert_close(weights[0], weights[1], atol=0, rtol=0)
    assert not torch.allclose(weights[0], weights[2])


def test_prediction_needs_no_truth_and_keeps_only_judged_frames(run: tuple, scene: Path, tmp_path: Path) -> None:
    shutil.copytree(scene / "testing" / "frames" / "01", tmp_path / "new" / "walk")
    videos = VideoFolder(tmp_path, test_dir="new", **TINY_DATA)
    predictions = engine(tmp_path / "out").predict(
        tiny(), datamodule=videos, ckpt_path=run[2] / "weights" / "lightning" / "model.ckpt"
    )
    assert sum(len(batch.pred_score) for batch in predictions) == 19
    assert predictions[0].image.shape == (19, 1, 3, 16, 16)
    assert predictions[0].anomaly_map.shape == (19, 1, 16, 16)
    assert predictions[0].pred_mask.shape == (19, 16, 16)
    assert predictions[0].pred_label.dtype == torch.bool
    items = list(predictions[0])
    assert len(items) == 19
    assert items[0].pred_score == predictions[0].pred_score[0]
    (record,) = (tmp_path / "out").rglob("predict/scores.csv")
    assert pd.read_csv(record).label.isna().all()


def test_prediction_without_post_processor_has_raw_scores(scene: Path, tmp_path: Path) -> None:
    (first, *_) = engine(tmp_path).predict(tiny(post_processor=False), datamodule=data(scene))
    assert first.pred_label is None
    assert torch.isfinite(first.pred_score).all()


def test_testing_without_truth_says_to_predict(scene: Path, tmp_path: Path) -> None:
    shutil.copytree(scene / "testing" / "frames" / "01", tmp_path / "new" / "walk")
    videos = VideoFolder(tmp_path, test_dir="new", **TINY_DATA)
    with pytest.raises(ValueError, match=r"has no labels.*anomalib predict"):
        engine(tmp_path / "out").test(tiny(), datamodule=videos)


@pytest.mark.parametrize(
    "options", [{"streams": "spatial"}, {"streams": "temporal"}, {"memory": "none"}, {"channels": 1}]
)
def test_ablations_train_and_test(options: dict, scene: Path, tmp_path: Path) -> None:
    started = engine(tmp_path, limit_train_batches=1)
    (results,) = started.train(tiny(**options), datamodule=data(scene))
    assert 0 <= results["image_AUROC"] <= 1


def test_longer_training_clips_are_supervised_at_every_step(scene: Path, tmp_path: Path) -> None:
    model = tiny()
    engine(tmp_path, limit_train_batches=2).fit(model, datamodule=data(scene, train_clip_length=12))
    assert model.post_processor.is_calibrated


def test_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(scene: Path, tmp_path: Path) -> None:
    class Diverging(STMem):
        def on_train_epoch_start(self) -> None:
            if self.current_epoch == 1:
                with torch.no_grad():
                    next(self.model.parameters()).fill_(float("nan"))

    model = Diverging(**TINY_MODEL)
    with pytest.raises(FloatingPointError, match=r"nan at step \d+ \(epoch 1\).*learning_rate.*model\.ckpt"):
        engine(tmp_path, max_epochs=2).fit(model, datamodule=data(scene, frame_rate=10))
    (saved,) = tmp_path.rglob("model.ckpt")
    state = torch.load(saved, weights_only=True)["state_dict"]
    assert all(torch.isfinite(value).all() for value in state.values())


def test_abnormal_training_clip_is_refused(scene: Path, tmp_path: Path) -> None:
    videos = data(scene)
    videos.setup("fit")
    videos.train_data.videos[0].labels[:] = True
    with pytest.raises(ValueError, match=r"labelled abnormal\. Train on normal video only"):
        engine(tmp_path).fit(tiny(), train_dataloaders=videos.train_dataloader())


def test_short_clips_name_the_option_to_change(scene: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"clips of 4 frames.*window 5 needs 6.*--data\.clip_length_in_frames 6"):
        engine(tmp_path).fit(tiny(), datamodule=data(scene, clip_length_in_frames=4))


def test_images_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match="ImageBatch"):
        as_judged_batch(ImageBatch(image=torch.zeros(1, 3, 8, 8)), window=5)
    with pytest.raises(ValueError, match="clips of 1 frames"):
        as_judged_batch(VideoBatch(image=torch.zeros(1, 3, 8, 8)), window=5)


def test_steps_default_only_when_nobody_chose(scene: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    started = Engine(default_root_dir=tmp_path, accelerator="cpu", limit_val_batches=1)
    model = tiny(default_steps=7)
    started.fit(model, datamodule=data(scene))
    assert started.trainer.global_step == 7
    assert "training for 7 steps" in caplog.text
    assert model.post_processor.is_calibrated


def test_epochs_that_somebody_chose_stay(scene: Path, tmp_path: Path) -> None:
    started = engine(tmp_path, max_epochs=2, limit_train_batches=1, limit_val_batches=1)
    started.fit(tiny(default_steps=7), datamodule=data(scene))
    assert (started.trainer.current_epoch, started.trainer.global_step) == (2, 2)


def test_last_weights_must_be_validated(scene: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"max_epochs 3 is not a multiple of .*check_val_every_n_epoch 2"):
        engine(tmp_path, max_epochs=3, check_val_every_n_epoch=2).fit(tiny(), datamodule=data(scene))


def test_f1_threshold_where_validation_has_labels(scene: Path, tmp_path: Path) -> None:
    model = tiny()
    engine(tmp_path).fit(model, datamodule=data(scene, val_split_mode="same_as_test"))
    assert model.post_processor.is_calibrated


def test_memory_health_is_logged(scene: Path, tmp_path: Path) -> None:
    started = engine(tmp_path)
    started.fit(tiny(memory_temperature=1.0), datamodule=data(scene))
    logged = started.trainer.callback_metrics
    for scale in range(4):
        assert 0 < logged[f"memory/spatial/{scale}/items_used"] <= 1
        assert logged[f"memory/temporal/{scale}/read_entropy"] > 0.5  # three items in few channels


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"spatial_weight": 1.5}, "spatial_weight"),
        ({"memory_items": 2}, "memory_items must be at least 3"),
        ({"window": 2}, "window"),
        ({"image_size": (32, 32), "train_crop": (16, 20)}, r"multiples of 8 \* stem = 8; got \[16, 20\]"),
        ({"image_size": (32, 32), "train_crop": (0, 16)}, r"train_crop must be multiples .* got \[0, 16\]"),
        ({"false_alarms_per_hour": -1.0}, "false_alarms_per_hour"),
    ],
)
def test_impossible_option_is_named(options: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        tiny(**options)


def test_data_set_given_by_nobody_is_only_the_demo_when_training(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"No --data given.*WalkwayDemo"):
        engine(tmp_path).test(tiny())


def test_training_without_data_runs_the_demo_scene(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from anomalib_stmem import write_scene
    from anomalib_stmem.data import walkway
    from anomalib_stmem.shell import builtin_demo

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(builtin_demo.OPTIONS, "image_size", (16, 16))
    monkeypatch.setattr(walkway, "write_scene", lambda root, seed: write_scene(root, 2, 2, 14, seed))
    model = STMem(width=3)
    (results,) = engine(tmp_path).train(model)
    assert "No --data given: training on the built-in demo scene" in caplog.text
    assert (model.hparams.width, model.hparams.image_size) == (3, (16, 16))
    assert not np.isnan(results["image_AUROC"])
    (report,) = tmp_path.rglob("report.json")
    assert json.loads(report.read_text())["dataset"].startswith("WalkwayDemo at ")


def test_scene_is_learned_where_nothing_is_validated(scene: Path, tmp_path: Path) -> None:
    model, videos = tiny(appearance=True, appearance_items=10), data(scene, image_size=(16, 16))
    videos.setup("fit")
    engine(tmp_path).fit(model, train_dataloaders=videos.train_dataloader())
    assert model.model.appearance.num_items == 10
    assert bool((model.model.head.perspective.centre != 0).any())


def test_scene_is_learned_at_the_first_and_the_last_validation(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[int] = []
    model = tiny()
    monkeypatch.setattr(lightning_model, "learn_peaks", lambda *_: learned.append(model.current_epoch))
    engine(tmp_path, max_epochs=4).fit(model, datamodule=data(scene, image_size=(16, 16)))
    assert learned == [0, 3]


def test_memory_of_no_looks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"appearance_items must be 1 or more; got 0"):
        tiny(appearance_items=0)


class Evil:
    """What a pickle may hold: something that runs when it is loaded."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("evil"),)


@pytest.mark.parametrize("command", ["test", "fit"])
def test_code_in_a_checkpoint_is_not_executed_by_the_trainer(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {}, "hyper_parameters": {}, "evil": Evil()}, "evil.ckpt")
    with pytest.raises(ValueError, match=r"evil\.ckpt is no checkpoint of STMem, .* Weights only load failed"):
        getattr(engine(tmp_path), command)(tiny(), datamodule=data(scene), ckpt_path="evil.ckpt")
    assert not Path("evil").exists()


def test_a_checkpoint_with_a_wrong_bit_is_not_tested(run: tuple, scene: Path, tmp_path: Path) -> None:
    data_of = bytearray((run[2] / "weights" / "lightning" / "model.ckpt").read_bytes())
    with ZipFile(io.BytesIO(data_of)) as parts:
        largest = max((part for part in parts.infolist() if "/data/" in part.filename), key=lambda part: part.file_size)
    data_of[largest.header_offset + 200] ^= 1
    (tmp_path / "gate.ckpt").write_bytes(data_of)
    with pytest.raises(ValueError, match=r"gate\.ckpt is damaged: the check sum of"):
        engine(tmp_path).test(tiny(), datamodule=data(scene), ckpt_path=tmp_path / "gate.ckpt")


@pytest.mark.parametrize("command", ["fit", "test"])
def test_a_checkpoint_that_is_cut_off_is_refused_by_name(run: tuple, scene: Path, tmp_path: Path, command: str) -> None:
    whole = (run[2] / "weights" / "lightning" / "model.ckpt").read_bytes()
    (tmp_path / "gate.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"gate\.ckpt is no checkpoint of STMem, or it is damaged: File is not a zip"):
        getattr(engine(tmp_path), command)(tiny(), datamodule=data(scene), ckpt_path=tmp_path / "gate.ckpt")
