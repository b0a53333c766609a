"""An archive is judged video by video, goes on after a stop, and survives bad files; on one device and on two."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anomalib.engine import Engine
from commands import anomalib, flags
from conftest import TINY_MODEL
from makers import write_video
from trained import calibrated

from anomalib_stmem import STMem, VideoArchive, VideoFolder


@pytest.fixture
def archive(scene: Path, tmp_path: Path) -> Path:
    """Two folders of images and a file, in folders of their own."""
    shutil.copytree(scene / "testing" / "frames", tmp_path / "archive" / "gate")
    write_video(tmp_path / "archive" / "yard" / "monday.avi", count=17)
    return tmp_path / "archive"


def judge(archive: Path, results: Path, model: STMem | None = None, **options) -> None:  # noqa: ANN003
    engine = Engine(default_root_dir=results.parent / "run", accelerator="cpu", enable_progress_bar=False)
    data = VideoArchive(archive, results, **({"num_workers": 0, "eval_clip_length": 8} | options))
    assert engine.predict(model or calibrated(), datamodule=data) is None  # nothing piles up in memory


@pytest.mark.parametrize("options", [{}, {"eval_clip_length": 6}, {"eval_clip_length": 500, "num_workers": 2}])
def test_every_frame_is_judged_once_as_in_a_prediction(archive: Path, tmp_path: Path, options: dict) -> None:
    judge(archive, tmp_path / "scores", **options)
    engine = Engine(default_root_dir=tmp_path / "usual", accelerator="cpu", enable_progress_bar=False)
    engine.predict(calibrated(), datamodule=VideoFolder(archive.parent, test_dir="archive", num_workers=0))
    (usual,) = (tmp_path / "usual").rglob("predict/scores.csv")
    for name, expected in pd.read_csv(usual).groupby("video"):
        found = pd.read_csv(tmp_path / "scores" / "videos" / f"{name}.csv")
        assert found.frame.tolist() == expected.frame.tolist() == [*range(5, 17 if "monday" in name else 24)]
        np.testing.assert_allclose(found.pred_score, expected.pred_score, atol=1e-4)
        np.testing.assert_allclose(found.seconds, found.frame / (10 if "monday" in name else 25), atol=1e-3)
    summary = pd.read_csv(tmp_path / "scores" / "summary.csv")
    assert summary.frames.tolist() == [19, 19, 12]
    assert not list((tmp_path / "run").rglob("*.csv"))


def test_a_stopped_run_goes_on_where_it_was(archive: Path, tmp_path: Path) -> None:
    class Stopped(STMem):
        def on_predict_batch_start(self, batch: object, batch_idx: int) -> None:  # noqa: ARG002
            if batch_idx == 8:  # in the second video
                raise KeyboardInterrupt

    results = tmp_path / "scores"
    model = calibrated()
    stopped = Stopped(**(TINY_MODEL | {"seed": None, "appearance": True}))
    stopped.load_state_dict(model.state_dict())
    with pytest.raises(BaseException):  # noqa: B017, PT011  # Lightning may turn the interrupt into an exit
        judge(archive, results, stopped.eval())
    done = {path.name: path.stat().st_mtime_ns for path in results.rglob("*.csv")}
    assert "01.csv" in done
    assert len(done) < 3
    assert list(results.rglob("*.part"))
    judge(archive, results, model)
    finished = {path.name: path.stat().st_mtime_ns for path in results.rglob("*.csv")}
    assert finished["01.csv"] == done["01.csv"]
    assert len(pd.read_csv(results / "videos" / "gate" / "02.csv")) == 19
    assert not list(results.rglob("*.part"))


def test_bad_videos_cost_only_themselves(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (archive / "yard" / "broken.mp4").write_bytes(b"no video")
    write_video(archive / "yard" / "short.avi", count=4)
    results = tmp_path / "scores"
    judge(archive, results)
    assert len(list(results.rglob("*.csv"))) == 4
    assert "There is no video in" in (results / "videos" / "yard" / "broken.failed").read_text()
    assert (
        "has 4 frames, fewer than one window and a frame to judge (6)"
        in (results / "videos" / "yard" / "short.failed").read_text()
    )
    assert "3 of 5 videos have scores" in capsys.readouterr().out
    write_video(archive / "yard" / "short.avi", count=9)
    judge(archive, results)
    assert not (results / "videos" / "yard" / "short.failed").exists()
    assert len(pd.read_csv(results / "videos" / "yard" / "short.csv")) == 4


def test_cut_off_video_is_refused_or_kept(archive: Path, tmp_path: Path) -> None:
    path = write_video(archive / "yard" / "monday.avi", count=60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    judge(archive, tmp_path / "scores")
    videos = tmp_path / "scores" / "videos" / "yard"
    assert "cut off at" in (videos / "monday.failed").read_text()
    assert not (videos / "monday.csv").exists()
    judge(archive, tmp_path / "scores", damaged="keep")
    assert 5 <= pd.read_csv(videos / "monday.csv").frame.max() < 59
    assert not (videos / "monday.failed").exists()


def test_scores_of_two_models_are_not_mixed(archive: Path, tmp_path: Path) -> None:
    judge(archive, tmp_path / "scores")
    with pytest.raises(ValueError, match=r"holds scores of another model.*--data\.results_dir"):
        judge(archive, tmp_path / "scores", calibrated(seed=1))


def test_video_that_has_changed_is_judged_anew(archive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    results = tmp_path / "scores"
    judge(archive, results)
    old = {path.name: path.read_text() for path in results.rglob("videos/**/*.csv")}
    write_video(archive / "yard" / "monday.avi", count=14)
    (archive / "gate" / "02" / "008.jpg").write_bytes((archive / "gate" / "01" / "007.jpg").read_bytes())
    judge(archive, results)
    new = {path.name: path.read_text() for path in results.rglob("videos/**/*.csv")}
    assert len(pd.read_csv(results / "videos" / "yard" / "monday.csv")) == 9
    assert (new["01.csv"] == old["01.csv"], new["02.csv"] == old["02.csv"]) == (True, False)
    assert "monday.avi has changed since it was judged, and is judged anew" in caplog.text


def test_scores_of_what_a_video_was_before_do_not_stay_when_it_cannot_be_judged(archive: Path, tmp_path: Path) -> None:
    judge(archive, tmp_path / "scores")
    (archive / "yard" / "monday.avi").write_bytes(b"no video any more")
    judge(archive, tmp_path / "scores")
    assert not (tmp_path / "scores" / "videos" / "yard" / "monday.csv").exists()
    assert (tmp_path / "scores" / "videos" / "yard" / "monday.failed").exists()


def test_video_may_be_called_summary(archive: Path, tmp_path: Path) -> None:
    shutil.copy(archive / "yard" / "monday.avi", archive / "summary.avi")
    judge(archive, tmp_path / "scores")
    assert len(pd.read_csv(tmp_path / "scores" / "videos" / "summary.csv")) == 12
    assert len(pd.read_csv(tmp_path / "scores" / "summary.csv")) == 4


def test_an_archive_is_only_judged(archive: Path) -> None:
    with pytest.raises(TypeError, match=r"for `anomalib predict`"):
        VideoArchive(archive).train_dataloader()
    with pytest.raises(ValueError, match="eval_clip_length must be at least clip_length_in_frames, 6; got 5"):
        VideoArchive(archive, eval_clip_length=5)


def test_two_devices_share_the_videos(archive: Path, tmp_path: Path) -> None:
    common = ["--model", "STMem", *flags("model", TINY_MODEL), "--data", "VideoArchive", "--data.root", str(archive)]
    devices = ["--trainer.accelerator", "cpu", "--trainer.strategy", "ddp", "--trainer.devices", "2"]
    anomalib("predict", *common, "--data.results_dir", "scores", *devices, folder=tmp_path)
    assert sorted(path.name for path in (tmp_path / "scores").rglob("*.csv")) == [
        "01.csv",
        "02.csv",
        "monday.csv",
        "summary.csv",
    ]
    assert len(pd.read_csv(tmp_path / "scores" / "summary.csv")) == 3


def test_other_rate_is_told_and_other_proportion_refused(
    archive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The folders are square, as the training video was, and the file is twice as wide as high, at another rate."""
    model = calibrated()
    model.post_processor.frame_rate.fill_(25.0)
    model._proportion = 1.0
    judge(archive, tmp_path / "scores", model)
    failed = (tmp_path / "scores" / "videos" / "yard" / "monday.failed").read_text()
    assert "is 32x16 pixels, 2.00 times as wide as high; the training video's was 1.00 times" in failed
    assert len(pd.read_csv(tmp_path / "scores" / "summary.csv")) == 2
    model._proportion = None
    judge(archive, tmp_path / "scores", model)
    assert "Video yard/monday has 10 frames per second, the training video had 25" in caplog.text
