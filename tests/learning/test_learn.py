"""``stmem learn``: what it makes, when it ends, and what it says."""

import os
import re
import shlex
import signal
from pathlib import Path

import pytest
from anomalib.cli.cli import AnomalibCLI
from makers import write_long

from anomalib_stmem import NormalVideos, STMem, TrainedModel, watch
from anomalib_stmem.cli import main


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_long(tmp_path / "day.mp4", 75, rate=5)
    return tmp_path


def test_a_camera_is_learned_within_the_minutes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learn", "day.mp4", "--out", "gate.ckpt", "--minutes", "0.05", "--false-alarms-per-day", "12"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "day.mp4: 60 s, 300 frames" in said
    took = re.search(r"Learned in (\d+) s, in (\d+) steps\. The threshold rests on \d+ s of normal video", said)
    assert int(took[2]) > 1
    model = TrainedModel.load("gate.ckpt")
    assert (model.image_size, model.frame_rate, model.calibration.budget) == ((48, 64), 5, 0.5)
    assert sorted(path.name for path in here.iterdir()) == ["day.mp4", "gate.ckpt", "gate.html"]
    page = (here / "gate.html").read_text()
    assert "day.mp4" in page
    assert 0 < page.count("<figure") <= 8
    assert watch([str(write_long(here / "next.mp4", 3))], "gate.ckpt", here / "watch").failures == []

    command = re.search(r"The same by anomalib's command: (anomalib fit .*)", said)[1]
    repeated = AnomalibCLI([*shlex.split(command)[1:], "--trainer.accelerator", "cpu"], run=False)
    assert isinstance(repeated.model, STMem)
    assert isinstance(repeated.datamodule, NormalVideos)
    assert repeated.datamodule.minutes == 1


@pytest.mark.slow
def test_ctrl_c_ends_it_early_with_a_threshold(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = STMem.training_step

    def stopped(model: STMem, *args: object) -> object:
        if model.trainer.global_step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return step(model, *args)

    monkeypatch.setattr(STMem, "training_step", stopped)
    assert main(["learn", str(here / "day.mp4"), "--minutes", "100"]) == 0
    assert TrainedModel.load("model.ckpt").is_calibrated


def test_what_was_learned_before_an_error_is_kept(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = STMem.training_step

    def broken(model: STMem, *args: object) -> object:
        if model.trainer.global_step == 2:
            msg = "The disk has gone."
            raise OSError(msg)
        return step(model, *args)

    monkeypatch.setattr(STMem, "training_step", broken)
    assert main(["learn", str(here / "day.mp4"), "--minutes", "100"]) == 2
    caught = capsys.readouterr()
    assert "stmem learn: The disk has gone." in caught.err
    assert "The same command goes on from there" in " ".join(caught.out.split())
    assert sorted(path.name for path in here.iterdir()) == ["day.mp4", "model.stopped.ckpt"]


@pytest.mark.slow
def test_learning_goes_on_where_it_was_stopped(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = STMem.training_step
    test_what_was_learned_before_an_error_is_kept(here, capsys, monkeypatch)
    monkeypatch.setattr(STMem, "training_step", step)
    assert main(["learn", str(here / "day.mp4"), "--minutes", "0.05"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Going on from model.stopped.ckpt" in said
    assert int(re.search(r"in (\d+) steps", said)[1]) > 2
    assert sorted(path.name for path in here.iterdir()) == ["day.mp4", "model.ckpt", "model.html"]


def test_folder_as_out_is_refused_before_the_minutes_are_spent(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learn", "day.mp4", "--out", str(here)]) == 2
    assert "names the folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("short.mp4", "That is 20 s of video. A camera needs a minute at least"),
        ("missing.mp4", "There is no "),
        ("text.mp4", "There is no video in text.mp4: it is text"),
    ],
)
def test_what_cannot_be_learned_from_is_named(
    source: str, words: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_long(here / "short.mp4", 20)
    (here / "text.mp4").write_text("text")
    assert main(["learn", source]) == 2
    assert words in capsys.readouterr().err
    assert not list(here.glob("*.ckpt"))
