"""``anomalib predict --model STMem --data PATH``, and the record of each video that it leaves."""

import inspect
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from anomalib.cli.cli import AnomalibCLI
from anomalib.engine import Engine
from makers import write_numbered, write_video
from trained import calibrated

from anomalib_stmem import FrameDifference, VideoPaths

OPTIONS = [
    *("--model", "STMem", "--model.image_size", "[16,16]", "--model.width", "2", "--model.stem", "1"),
    *("--model.memory_items", "3", "--model.precision", "float32", "--model.train_crop", "null"),
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
]


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    from lightning.pytorch import Trainer

    monkeypatch.chdir(tmp_path)
    model = calibrated()
    model.post_processor._image_threshold.fill_(-9.0)  # everything is an alarm
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint("model.ckpt")
    return "model.ckpt"


def predict(path: Path | str, checkpoint: str) -> Path:
    AnomalibCLI(["predict", *OPTIONS, "--data", str(path), "--ckpt_path", checkpoint])
    return Path("results/STMem/VideoPaths/latest/predict").resolve()


def test_video_file(tmp_path: Path, checkpoint: str) -> None:
    out = predict(write_video(tmp_path / "gate.avi", 20), checkpoint)
    scores = pd.read_csv(out / "videos" / "gate" / "scores.csv")
    assert scores.frame.tolist() == list(range(5, 20))
    assert scores.seconds.tolist() == [round(frame / 10, 3) for frame in range(5, 20)]  # of the file's 10 per second
    whole = pd.read_csv(out / "scores.csv")
    np.testing.assert_allclose(scores.pred_score, whole.pred_score, atol=1e-6)
    (event,) = json.loads((out / "videos" / "gate" / "events.json").read_text())
    assert (event["start_frame"], event["end_frame"]) == (9, 19)  # half of 0.8 s are above the threshold
    for name in ("annotated.mp4", "plain.mp4", "curve.png", "events.csv", "scores.jsonl", "events/0001.mp4"):
        assert (out / "videos" / "gate" / name).stat().st_size > 0, name
    capture = cv2.VideoCapture(str(out / "videos" / "gate" / "plain.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 20


def test_folder_of_videos_and_folder_of_frames(tmp_path: Path, checkpoint: str) -> None:
    write_video(tmp_path / "all" / "north" / "a.avi", 12)
    write_numbered(tmp_path / "all" / "south", 9)
    out = predict(tmp_path / "all", checkpoint)
    assert sorted(path.parent.relative_to(out / "videos").as_posix() for path in out.rglob("*/scores.csv")) == [
        "north/a",
        "south",
    ]
    again = predict(tmp_path / "all" / "south", checkpoint).parent / "predict_2"
    assert len(pd.read_csv(again / "videos" / "south" / "scores.csv")) == 4


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.parent, r"There is no .*gate\.mp4\. Expected a video file"),
        (lambda path: path.write_text("text"), "it is text, and no video"),
        (lambda path: path.mkdir(), r"No video in .*gate\.mp4"),
    ],
)
def test_what_cannot_be_judged_is_named(tmp_path: Path, checkpoint: str, make, words: str) -> None:  # noqa: ANN001
    make(tmp_path / "gate.mp4")
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        predict(tmp_path / "gate.mp4", checkpoint)


def test_path_is_not_for_training(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"anomalib predict"):
        VideoPaths(tmp_path).training_videos()


def test_other_models_still_get_images(tmp_path: Path) -> None:
    """The wrapped method hands on what is not for STMem, and keeps the signature that the command line reads."""
    assert list(inspect.signature(Engine.predict).parameters)[-1] == "data_path"
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(FileNotFoundError, match=r"model\.ckpt"):  # past the data, which are one image
        Engine(default_root_dir=tmp_path).predict(FrameDifference(), data_path=tmp_path, ckpt_path="model.ckpt")


def test_labels_films_and_events_of_a_test(scene: Path, checkpoint: str) -> None:
    """Two workers bring the clips of a video out of order; its record is in order all the same."""
    data = ["--data", "VideoFolder", "--data.root", str(scene), "--data.num_workers", "2"]
    AnomalibCLI(["test", *OPTIONS, *data, "--data.eval_clip_length", "8", "--ckpt_path", checkpoint])
    out = Path("results/STMem/VideoFolder/latest/test")
    whole = pd.read_csv(out / "scores.csv", dtype={"video": str})
    for video, rows in whole.groupby("video"):
        scores = pd.read_csv(out / "videos" / str(video) / "scores.csv")
        assert scores.frame.tolist() == rows.frame.tolist()
        assert scores.label.tolist() == rows.label.tolist()


def test_films_can_be_turned_off(tmp_path: Path, checkpoint: str) -> None:
    video = write_video(tmp_path / "gate.avi", 9)
    options = ["--model.visualizer", "ClipVisualizer", "--model.visualizer.films", "false"]
    AnomalibCLI(["predict", *OPTIONS, *options, "--data", str(video), "--ckpt_path", checkpoint])
    assert list(Path("results").rglob("scores.csv"))
    assert not list(Path("results").rglob("*.mp4"))


def test_full_disk_costs_films_and_no_scores(
    tmp_path: Path, checkpoint: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("anomalib_stmem.results.film.Film.write", no_room)
    out = predict(write_video(tmp_path / "gate.avi", 9), checkpoint)
    assert len(pd.read_csv(out / "scores.csv")) == 4
    assert "Video gate has no films: [Errno 28] No space left on device" in caplog.text
    assert not list(out.rglob("*.mp4*"))


def test_other_frame_rate_is_said(tmp_path: Path, checkpoint: str, caplog: pytest.LogCaptureFixture) -> None:
    import torch

    saved = torch.load(checkpoint, weights_only=True)
    saved["state_dict"]["post_processor.frame_rate"].fill_(25.0)
    torch.save(saved, checkpoint)
    predict(write_video(tmp_path / "gate.avi", 9), checkpoint)
    assert "has 10 frames per second, the training video had 25" in caplog.text
    shutil.rmtree("results")
