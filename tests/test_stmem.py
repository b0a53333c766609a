"""The ``stmem`` command in an empty folder, as a user types it.

By subprocess where the process matters; else in this one, since a start takes six seconds (anomalib imports all its
models).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from cameras import Camera, on_air
from makers import write_video
from trained import calibrated

from anomalib_stmem import FrameStream
from anomalib_stmem.cli import main


def stmem(*arguments: str | Path, cwd: Path, **options: object) -> subprocess.CompletedProcess[str]:
    command = [script(), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=200, **options)


def script() -> str:
    found = shutil.which("stmem", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found
    return found


@dataclass
class Done:
    """What a command left."""

    status: int
    said: str  # on stdout
    wrong: str  # on stderr


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run the command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENCV_LOG_LEVEL", "OFF")
    monkeypatch.setenv("OPENCV_FFMPEG_LOGLEVEL", "-8")

    def run(*arguments: str | Path) -> Done:
        capfd.readouterr()
        with warnings.catch_warnings():
            status = main([str(argument) for argument in arguments])
        return Done(status, *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, trained at 10 frames per second, with its threshold amid the scores of noise."""
    from lightning.pytorch import Trainer

    model = calibrated()
    model.post_processor.frame_rate.fill_(10.0)
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    trainer.strategy.connect(model)
    path = tmp_path_factory.mktemp("model") / "model.ckpt"
    trainer.save_checkpoint(path)
    return path


def noise(path: Path, count: int = 40, rate: float = 10.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (64, 48))
    for frame in np.random.default_rng(0).integers(0, 256, (count, 6, 8, 3), np.uint8):
        writer.write(cv2.resize(frame, (64, 48), interpolation=cv2.INTER_NEAREST))
    writer.release()
    return path


def test_help_is_quick_and_complete(tmp_path: Path) -> None:
    done = stmem("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "stmem watch gate.mp4 --ckpt model.ckpt" in done.stdout
    code = "import sys, anomalib_stmem.cli as c; c._parser(); sys.exit('torch' in sys.modules or 'cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_watch_of_a_file_is_a_stream_over_its_frames(tmp_path: Path, checkpoint: Path) -> None:
    video = noise(tmp_path / "gate.avi")
    done = stmem("watch", video, "--ckpt", checkpoint, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "gate: 35 frames judged" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gate.avi", "results"]
    scores = pd.read_csv(tmp_path / "results" / "watch" / "gate" / "scores.csv")
    stream, capture, expected = FrameStream(checkpoint), cv2.VideoCapture(str(video)), []
    while (read := capture.read())[0]:
        verdict = stream.push(read[1])
        expected += [] if verdict is None else [verdict.score]
    np.testing.assert_allclose(scores.pred_score, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nothing.mp4", "nothing.mp4. Expected a video file"),
        ("text.mp4", "There is no picture from text.mp4: no video, empty, damaged, only sound"),
        ("empty.avi", "There is no picture from empty.avi"),
        ("empty_folder", "No video in empty_folder"),
        ("77", "There is no picture from camera 77: not there"),
        ("http://user:secret@127.0.0.1:9/x?key=secret", "There is no picture from http://127.0.0.1:9/x: not reachable"),
        ("rtsp://user:secret@127.0.0.1:9/x", "There is no picture from rtsp://127.0.0.1:9/x"),
    ],
)
def test_source_that_cannot_be_watched(
    tmp_path: Path, checkpoint: Path, here: Callable[..., Done], source: str, words: str
) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.avi").touch()
    (tmp_path / "empty_folder").mkdir()
    done = here("watch", source, "--ckpt", checkpoint, "--patience", "0.2")
    assert done.status == 2
    assert words in done.said + done.wrong
    left = "".join(path.read_text() for path in tmp_path.rglob("*.json*"))
    assert "secret" not in done.said + done.wrong + left


def test_password_is_not_printed_by_cv2_either(tmp_path: Path, checkpoint: Path) -> None:
    done = stmem("watch", "http://user:secret@127.0.0.1:9/x", "--ckpt", checkpoint, "--patience", "0.2", cwd=tmp_path)
    assert done.returncode == 2
    assert "secret" not in done.stdout + done.stderr
    assert "There is no picture from http://127.0.0.1:9/x" in done.stdout


def test_only_sound(tmp_path: Path, checkpoint: Path, here: Callable[..., Done]) -> None:
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    done = here("watch", "sound.mp4", "--ckpt", checkpoint)
    assert (done.status, "only sound" in done.said) == (2, True)


def corrupt(path: Path, good: Path) -> None:
    path.write_bytes(good.read_bytes()[:1000])


def foreign(path: Path, good: Path) -> None:
    del good
    torch.save({"state_dict": {"layer.weight": torch.zeros(3)}, "hyper_parameters": {}}, path)


def code_in_it(path: Path, good: Path) -> None:
    """A pickle that would run a command when loaded without care."""
    del good

    class Evil:
        def __reduce__(self) -> tuple:
            return os.system, (f"touch {path.parent / 'executed'}",)

    torch.save({"state_dict": Evil()}, path)


def without_threshold(path: Path, good: Path) -> None:
    saved = torch.load(good, weights_only=True)
    saved["state_dict"]["post_processor._image_threshold"].fill_(float("nan"))
    torch.save(saved, path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (None, "There is no file"),
        (corrupt, "is no checkpoint of STMem: damaged"),
        (foreign, "is no checkpoint of STMem: damaged, of another model"),
        (code_in_it, "is no checkpoint of STMem"),
        (without_threshold, "has no threshold"),
    ],
)
def test_model_that_cannot_be_used(
    tmp_path: Path, checkpoint: Path, here: Callable[..., Done], make: object, words: str
) -> None:
    if callable(make):
        make(tmp_path / "bad.ckpt", checkpoint)
    done = here("watch", noise(tmp_path / "gate.avi", 8), "--ckpt", "bad.ckpt")
    assert done.status == 2
    assert words in done.wrong
    assert not (tmp_path / "executed").exists()
    assert not (tmp_path / "results").exists()


def test_folder_that_cannot_be_written(tmp_path: Path, checkpoint: Path, here: Callable[..., Done]) -> None:
    (tmp_path / "out").touch()
    video = noise(tmp_path / "gate.avi", 8)
    done = here("watch", video, "--ckpt", checkpoint, "--results", "out/here")
    assert (done.status, done.said) == (2, "")
    assert "cannot read or write" in done.wrong


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_in_mid_video_leaves_everything_whole(tmp_path: Path, checkpoint: Path, number: int) -> None:
    with on_air(Camera([90] * 2000, rate=10)) as url:
        command = [script(), "watch", f"gate={url}", "--ckpt", str(checkpoint), "--films", "true"]
        running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        scores = tmp_path / "results" / "watch" / "gate" / "scores.csv"
        deadline = time.monotonic() + 60
        while not scores.with_name("scores.csv.part").exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(2.5)
        running.send_signal(number)
        said, wrong = running.communicate(timeout=30)
    assert (running.returncode, wrong) == (0, ""), said + wrong
    assert "secret" not in said
    assert len(pd.read_csv(scores)) > 5
    capture = cv2.VideoCapture(str(scores.with_name("annotated.mp4")))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) > 5
    assert json.loads((tmp_path / "results" / "watch" / "run.json").read_text())["ended"]
    assert not list(tmp_path.rglob("*.part"))


def test_disk_that_is_full(tmp_path: Path, checkpoint: Path, here: Callable[..., Done]) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", disk]
    if os.geteuid() or subprocess.run(mount, check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        video = noise(tmp_path / "gate.avi", 300)
        done = here("watch", video, "--ckpt", checkpoint, "--results", disk / "out")
        assert done.status == 2
        assert "No space left on device" in done.wrong
        assert not list(disk.rglob("*.mp4"))
        assert not list(disk.rglob("scores.csv"))
    finally:
        subprocess.run(["umount", disk], check=True)


def test_folder_of_videos_in_one_go(tmp_path: Path, checkpoint: Path, here: Callable[..., Done]) -> None:
    for name in ("1", "2"):
        write_video(tmp_path / "all" / f"{name}.avi", 9)
    done = here("watch", "all", "--ckpt", checkpoint, "--films", "false")
    assert done.status == 0, done.wrong
    assert len(list((tmp_path / "results").rglob("scores.csv"))) == 2
    assert not list((tmp_path / "results").rglob("plain.mp4"))
