"""The ``stmem`` command in an empty folder, as a user types it.

By subprocess where the process matters; else in this one, since a start takes six seconds (anomalib imports all its
models).
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from cameras import Camera, on_air, serving
from makers import write_video
from rich.console import Console
from trained import calibrated

from anomalib_stmem import FrameStream, STMem, TrainedModel
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
    frames = np.random.default_rng(0).integers(0, 256, (count, 6, 8, 3), np.uint8)
    frames[:, :, 2:] = frames[0, :, 2:]  # a picture that changes as a whole is not judged
    for frame in frames:
        writer.write(cv2.resize(frame, (64, 48), interpolation=cv2.INTER_NEAREST))
    writer.release()
    return path


def test_help_is_quick_and_complete(tmp_path: Path) -> None:
    done = stmem("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "stmem watch gate.mp4 --ckpt model.ckpt" in done.stdout
    code = (
        "import sys; from anomalib_stmem import cli, cli_options; cli_options.parser(); "
        "sys.exit('torch' in sys.modules or 'cv2' in sys.modules)"
    )
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
        ("text.mp4", "There is no picture from text.mp4: it is text, and no video."),
        ("empty.avi", "There is no picture from empty.avi"),
        ("empty_folder", "No video in empty_folder"),
        ("77", "There is no picture from camera 77: it is not there, in use elsewhere"),
        (
            "http://user:secret@127.0.0.1:9/x?key=secret",
            "There is no picture from http://127.0.0.1:9/x: nothing answers at this host and port.",
        ),
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
    assert (done.status, "it holds audio, and no video" in done.said) == (2, True)


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
        (corrupt, "is no checkpoint of STMem, or it is damaged"),
        (foreign, "is no checkpoint of STMem, but of another model"),
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


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
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
        running.send_signal(number)  # as `timeout` does
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
        assert "gate.avi: its results cannot be written to" in done.said
        assert "No space left on device" in done.said
        assert "MB are free on the disk" in done.said
        assert json.loads((disk / "out" / "run.json").read_text())["sources"][0]["failure"].endswith("on device.")
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


def test_calibration_for_a_camera(tmp_path: Path, checkpoint: Path, here: Callable[..., Done]) -> None:
    """Its threshold keeps to the budget on the video that it was given; weights, options and other bounds stay."""
    video = noise(tmp_path / "normal.avi", 120)
    done = here("calibrate", video, "--ckpt", checkpoint, "--out", "gate.ckpt", "--false-alarms-per-day", "12")
    assert done.status == 0, done.wrong
    assert "normal: 11 s, 115 frames." in done.said
    assert re.search(r"\d false alarms? in 11 s of video; the threshold of before gives", done.said)
    assert "too short to tell the budget of 12 a day" in done.said
    old, new = (torch.load(path, weights_only=True) for path in (checkpoint, tmp_path / "gate.ckpt"))
    for name, value in old["state_dict"].items():
        same = torch.equal(torch.nan_to_num(value), torch.nan_to_num(new["state_dict"][name]))
        assert same or name.startswith(("post_processor.", "model.head.")), name
    assert new["hyper_parameters"] == old["hyper_parameters"] | {"false_alarms_per_hour": 0.5}
    assert new["state_dict"]["post_processor.frame_rate"] == 10
    watched = here("watch", video, "--ckpt", "gate.ckpt")
    assert re.search(r"115 frames judged, [0-3] events?", watched.said)
    assert "The threshold rests on" in watched.said.splitlines()[0]
    assert not list(tmp_path.glob("*.part"))


def test_calibration_that_is_stopped_says_what_it_rests_on(
    tmp_path: Path, checkpoint: Path, here: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    from anomalib_stmem.watching.calibrate import MeasuringStream

    seen, push = [], MeasuringStream.push

    def stopped(stream: MeasuringStream, image: np.ndarray) -> object:
        seen.append(image)
        if len(seen) == 60:
            signal.raise_signal(signal.SIGINT)
        return push(stream, image)

    monkeypatch.setattr(MeasuringStream, "push", stopped)
    first, second = noise(tmp_path / "monday.avi", 120), noise(tmp_path / "tuesday.avi")
    done = here("calibrate", first, second, "--ckpt", checkpoint, "--out", "gate.ckpt")
    assert done.status == 0, done.wrong
    assert "monday: 6 s, 55 frames, stopped before its end." in done.said
    assert "tuesday: nothing was used." in done.said
    assert TrainedModel.load(tmp_path / "gate.ckpt").is_calibrated


def test_calibration_is_that_of_a_validation(tmp_path: Path, scene: Path, checkpoint: Path) -> None:
    """The same threshold and scale that `anomalib validate` finds on the same frames, where none was before."""
    from lightning.pytorch import Trainer

    from anomalib_stmem import STMem, VideoFolder, calibrate

    videos, saved = scene / "training" / "frames", torch.load(checkpoint, weights_only=True)
    for name in set(saved["state_dict"]) - {"post_processor.frame_rate"}:
        if name.startswith("post_processor."):
            saved["state_dict"][name].fill_(float("nan"))
    torch.save(saved, tmp_path / "uncalibrated.ckpt")
    calibrate([str(videos / "03")], tmp_path / "uncalibrated.ckpt", tmp_path / "gate.ckpt", false_alarms_per_day=1e6)
    ours = TrainedModel.load(tmp_path / "gate.ckpt").calibration
    model = STMem.load_from_checkpoint(checkpoint)
    model.post_processor.false_alarms_per_hour = 1e6 / 24
    data = VideoFolder(scene, num_workers=0, frame_rate=10)  # of three normal videos it holds out the last
    Trainer(accelerator="cpu", logger=False, enable_progress_bar=False).validate(model, data, verbose=False)
    theirs = model.post_processor.calibration
    for name in ("threshold", "usual", "highest", "normal_hours", "pixel_threshold", "pixel_usual"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), atol=1e-3, rtol=1e-3, msg=name)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.mp4", "--ckpt", "model.ckpt"], "There is no"),
        (["short.avi", "--ckpt", "model.ckpt"], "No frame could be judged: a source needs more than 5 frames"),
        (["text.avi", "--ckpt", "model.ckpt"], "There is no picture from text.avi"),
        (["short.avi", "--ckpt", "text.avi"], "is no checkpoint of STMem"),
        (["short.avi", "--ckpt", "nothing.ckpt"], "There is no file"),
    ],
)
def test_calibration_that_cannot_be(
    tmp_path: Path, checkpoint: Path, here: Callable[..., Done], arguments: list[str], words: str
) -> None:
    shutil.copy(checkpoint, tmp_path / "model.ckpt")
    (tmp_path / "text.avi").write_text("no video")
    noise(tmp_path / "short.avi", 4)
    done = here("calibrate", *arguments)
    assert (done.status, words in done.wrong) == (2, True), done
    assert not (tmp_path / "calibrated.ckpt").exists()


def test_calibration_goes_on_without_a_bad_file(tmp_path: Path, checkpoint: Path, here: Callable[..., Done]) -> None:
    (tmp_path / "text.avi").write_text("no video")
    done = here("calibrate", noise(tmp_path / "a.avi"), "text.avi", noise(tmp_path / "b.avi"), "--ckpt", checkpoint)
    assert done.status == 2
    assert re.search(r"a: \d s, 35 frames\.\ntext: nothing was used\.\nb: \d s, 35 frames\.", done.said)
    assert "There is no picture from text.avi" in done.wrong
    assert (tmp_path / "calibrated.ckpt").exists()


def test_calibration_keeps_the_order_of_a_source_whose_rate_wavers(checkpoint: Path) -> None:
    """An hour in, a rate that is a hundredth lower would put a frame 360 before the one that it follows."""
    from anomalib_stmem.video.choosing import Tally
    from anomalib_stmem.video.frame import Frame
    from anomalib_stmem.video.source import Source
    from anomalib_stmem.watching import calibrate

    class Wavering:
        error, left, tally, is_live = None, 30, Tally(), True

        def __init__(self, *_: object, **__: object) -> None:
            self.start = self.stop = self.wait = lambda: None

        @property
        def has_ended(self) -> bool:
            return self.left == 0

        def next(self) -> Frame:
            self.left -= 1
            self.tally.rate = 10.0 - 0.1 * (self.left % 2)
            number = 30 - self.left
            return Frame(number, 3600 + number / 10, np.zeros((16, 16, 3), np.uint8))

    source = Source("a", "camera", "0", "camera 0")
    seen = calibrate._see(TrainedModel.load(checkpoint), [source], None, Wavering, Console(quiet=True))
    assert len(seen.frames) == len(seen.measured) == 25
    assert seen.frames == sorted(seen.frames)
    assert seen.rates == pytest.approx([10.0] * 25)
    assert len(set(seen.rates)) == 1


def test_repeats_and_late_frames_are_normal_time_in_a_calibration() -> None:
    """They count as the frame before them, so that an hour of video stays an hour."""
    from anomalib_stmem.video.frame import Frame
    from anomalib_stmem.watching.calibrate import _add

    image, kept, times = np.zeros((4, 4, 3), np.uint8), [], []
    for place, (seconds, late, repeats) in enumerate(
        [(0.0, True, 0), (0.1, False, 0), (0.4, False, 2), (0.6, True, 1)]
    ):
        _add(kept, times, place, Frame(place, seconds, image, is_late=late, num_repeats=repeats))  # type: ignore[arg-type]
    assert kept == [1, 1, 1, 2, 2, 2]
    assert times == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    _add(kept, times, 9, Frame(9, 5.0, image, follows_gap=True, num_repeats=3))  # type: ignore[arg-type]
    assert (kept[-2:], times[-1]) == ([2, 9], 5.0)


def test_calibration_that_cannot_be_written_is_refused_before_the_video_is_seen(
    tmp_path: Path, checkpoint: Path, here: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    from anomalib_stmem.watching import calibrate

    monkeypatch.setattr(calibrate, "_see", lambda *_: pytest.fail("the video was seen"))
    done = here("calibrate", noise(tmp_path / "a.avi"), "--ckpt", checkpoint, "--out", "a.avi/gate.ckpt")
    assert (done.status, "cannot read or write a.avi" in done.wrong) == (2, True)


def test_calibration_leaves_the_checkpoint_that_it_starts_from(
    tmp_path: Path, checkpoint: Path, here: Callable[..., Done]
) -> None:
    own = Path(shutil.copy(checkpoint, tmp_path / "own.ckpt"))
    (tmp_path / "link.ckpt").symlink_to(own)
    before = own.read_bytes()
    for out in ("own.ckpt", "link.ckpt"):
        done = here("calibrate", noise(tmp_path / "a.avi"), "--ckpt", own, "--out", out)
        assert (done.status, "must stay as it is. Name another file" in done.wrong) == (2, True)
    assert own.read_bytes() == before


def test_calibration_takes_bounds_of_what_decides_and_keeps_the_rest(checkpoint: Path) -> None:
    """A stream measures only what decides the score; the bounds of the others, which tables of tests use, stay."""
    from anomalib_stmem.evaluation.calibration import CalibrationFrames
    from anomalib_stmem.evaluation.decided import levels
    from anomalib_stmem.evaluation.events import Timeline
    from anomalib_stmem.model.calibration import Calibration
    from anomalib_stmem.model.scoring import MEASUREMENTS
    from anomalib_stmem.watching.calibrate import _calibrate

    head = TrainedModel.load(checkpoint).network.head
    lower, upper = head.lower.clone(), head.upper.clone()
    measurements = torch.rand(50, len(MEASUREMENTS)) + 30
    timeline = Timeline(np.zeros(50, int), np.arange(50), np.full(50, 10.0))
    frames = CalibrationFrames(measurements, torch.rand(50, 2), timeline)
    calibration = _calibrate(head, Calibration(), frames, budget=1.0)
    compensated = head.compensate(measurements)
    for place, name in enumerate(MEASUREMENTS):
        decides = name in head.wanted
        assert float(head.lower[place]) == float(compensated[:, place].min() if decides else lower[place]), name
        assert float(head.upper[place]) == float(compensated[:, place].max() if decides else upper[place]), name
    highest = np.nanmax(levels(head(measurements).double().numpy(), timeline))
    assert float(calibration.highest) == pytest.approx(highest)


@pytest.mark.parametrize("command", ["watch", "calibrate"])
def test_malformed_address_is_not_printed(command: str, checkpoint: Path, here: Callable[..., Done]) -> None:
    for address in ("rtsp:/user:secret@host/x", "rtsp://user:secret@[host"):
        done = here(command, address, "--ckpt", checkpoint)
        assert done.status == 2
        assert "secret" not in done.said + done.wrong
        assert "Expected scheme://host:port/path, or the same with user:password and an @" in done.wrong  # not masked


def test_calibration_says_how_far_it_is_where_there_is_no_terminal(
    tmp_path: Path, checkpoint: Path, here: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    from anomalib_stmem.watching import calibrate

    monkeypatch.setattr(calibrate, "SAY_EVERY", 0.0)
    done = here("calibrate", noise(tmp_path / "a.avi", 100), "--ckpt", checkpoint)
    assert re.search(r"\d\d:\d\d:\d\d a: 5 s of video, 5\d % of it", done.said)


def test_minutes_limit_a_calibration(tmp_path: Path, checkpoint: Path, here: Callable[..., Done]) -> None:
    done = here("calibrate", noise(tmp_path / "a.avi", 100), "--ckpt", checkpoint, "--minutes", "0.05")
    assert "in 3 s of video" in done.said


def test_part_of_the_picture_is_left_out_from_snapshot_to_watch(
    tmp_path: Path, checkpoint: Path, here: Callable[..., Done]
) -> None:
    """All that moves in the noise is in the left quarter."""
    video, painted = noise(tmp_path / "gate.avi"), tmp_path / "painted.png"
    done = here("snapshot", video, "--out", tmp_path / "gate.png")
    assert (done.status, done.said.strip()) == (0, str(tmp_path / "gate.png"))
    picture = cv2.imread(str(tmp_path / "gate.png"))
    assert picture.shape == (48, 64, 3)
    picture[:, :32] = (0, 0, 255)
    cv2.imwrite(str(painted), picture)
    done = here("watch", video, "--ckpt", checkpoint, "--ignore", painted, "--results", tmp_path / "left_out")
    assert done.status == 0, done.wrong
    done = here("watch", video, "--ckpt", checkpoint, "--results", tmp_path / "whole")
    assert done.status == 0, done.wrong
    rest, whole = (pd.read_csv(tmp_path / name / "gate" / "scores.csv").pred_score for name in ("left_out", "whole"))
    assert rest[5:].max() < whole.median() / 2
    run = json.loads((tmp_path / "left_out" / "run.json").read_text())
    assert len(run["model"]["ignored"]) == 1
    # The same, kept in a checkpoint.
    out = tmp_path / "narrow.ckpt"
    done = here("calibrate", video, "--ckpt", checkpoint, "--out", out, "--only", "0.5,0 1,0 1,1 0.5,1")
    assert done.status == 0, done.wrong
    assert len(TrainedModel.load(out).ignored) == 1
    model = STMem.load_from_checkpoint(out)
    assert not model.model.exemptions.region[:, :8].any()
    assert model.model.exemptions.region[:, 8:].all()
    done = here("watch", video, "--ckpt", out, "--only", "0,0 0.4,0 0.4,1 0,1")
    assert (done.status, "Nothing of the picture is left" in done.wrong) == (2, True)


def sensitive_of(checkpoint: Path, path: Path) -> Path:
    """Write a checkpoint that alarms at noise, with a memory of looks that knows none of it."""
    content = torch.load(checkpoint, weights_only=True)
    content["state_dict"]["post_processor._image_threshold"].fill_(-2.5)
    content["state_dict"]["post_processor.image_min"].fill_(-5.0)
    content["state_dict"]["post_processor._pixel_threshold"].fill_(0.12)
    content["state_dict"]["model.appearance.items"][:5] *= 0.001  # near to each other, and far from what is new
    torch.save(content, path)
    return path


def test_event_is_accepted_and_forgotten(tmp_path: Path, checkpoint: Path, here: Callable[..., Done]) -> None:
    from anomalib_stmem.watching.accept import accepted

    video, once, back = noise(tmp_path / "gate.avi"), tmp_path / "once.ckpt", tmp_path / "back.ckpt"
    sensitive = sensitive_of(checkpoint, tmp_path / "sensitive.ckpt")
    assert "gate: ALARM" in here("watch", video, "--ckpt", sensitive, "--results", tmp_path / "r").said
    done = here("accept", tmp_path / "r", "1", "gate/1", "--ckpt", sensitive, "--out", once)
    assert done.status == 0, done.wrong
    (one,) = accepted(once)
    assert done.said.startswith(f"Normal now: {one}")
    assert one.event == "gate/1"
    assert one.peak < one.was
    assert one.count > 0
    before, after = TrainedModel.load(sensitive), TrainedModel.load(once)
    assert after.network.appearance.num_items == before.network.appearance.num_items + one.count
    assert here("watch", video, "--ckpt", once, "--results", tmp_path / "r2").said.count("ALARM") == 0
    assert here("accept", "--ckpt", once).said.endswith("1 accepted.\n")
    done = here("accept", "--forget", "1", "--ckpt", once, "--out", back)
    assert (done.status, "Forgotten: gate/1" in done.said) == (0, True)
    again = TrainedModel.load(back)
    assert again.fingerprint() == before.fingerprint() or again.network.appearance.num_items == 5
    torch.testing.assert_close(again.network.state_dict()["exemptions.accepted"], torch.zeros(2, 1, 1))
    assert accepted(back) == []


def test_event_of_a_camera_is_accepted_from_its_plain_clip(
    tmp_path: Path, checkpoint: Path, here: Callable[..., Done]
) -> None:
    """A live source cannot be seen again, so the clip that the watch kept has to be enough."""
    from anomalib_stmem.watching.accept import accepted

    video, sensitive = noise(tmp_path / "film.avi"), sensitive_of(checkpoint, tmp_path / "sensitive.ckpt")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
            self.end_headers()
            film = cv2.VideoCapture(str(video))
            try:
                while (read := film.read())[0]:
                    jpeg = cv2.imencode(".jpg", read[1])[1].tobytes()
                    head = f"--b\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                    time.sleep(0.1)
                time.sleep(1)
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(5)
            except OSError:
                return  # the reader went away

        def log_message(self, *_: object) -> None:
            return

    with serving(Handler) as port:
        url = f"gate=http://127.0.0.1:{port}/live"
        done = here("watch", url, "--ckpt", sensitive, "--results", tmp_path / "r")
    assert "gate: ALARM" in done.said, done
    done = here("accept", tmp_path / "r", "gate/1", "--ckpt", sensitive, "--out", tmp_path / "once.ckpt")
    assert done.status == 0, done.wrong
    (one,) = accepted(tmp_path / "once.ckpt")
    assert one.peak < one.was
    assert one.count > 0
    next((tmp_path / "r").rglob("0001_plain.mp4")).unlink()
    done = here("accept", tmp_path / "r", "gate/1", "--ckpt", sensitive, "--out", tmp_path / "twice.ckpt")
    assert (done.status, "cannot be seen again" in done.wrong) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["r", "gate/7"], "There is no event 'gate/7' in r. Expected a video and the number of its event, as gate/1."),
        (["r"], "Name the events of r that are normal"),
        (["nowhere", "1"], "nowhere holds no results of `stmem watch`"),
        (["--forget", "1"], "There is no accepted event 1 in"),
        (["r", "1", "--forget", "1"], "Say either which events are accepted"),
    ],
)
def test_what_cannot_be_accepted(
    tmp_path: Path,
    checkpoint: Path,
    here: Callable[..., Done],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    here("watch", noise(tmp_path / "gate.avi"), "--ckpt", checkpoint, "--results", "r")
    done = here("accept", *arguments, "--ckpt", checkpoint)
    assert (done.status, words in done.wrong) == (2, True), done.wrong
    assert not (tmp_path / "accepted.ckpt").exists()


def test_region_that_an_exported_file_cannot_take(tmp_path: Path, here: Callable[..., Done]) -> None:
    (tmp_path / "stream.xml").touch()
    done = here("watch", noise(tmp_path / "a.avi"), "--ckpt", tmp_path / "stream.xml", "--ignore", "0,0 1,0 1,1")
    assert done.status == 2
    assert "Give --ignore and --only with a checkpoint, or export anew with --model.ignore" in done.wrong


def test_snapshot_that_cannot_be(tmp_path: Path, here: Callable[..., Done]) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    done = here("snapshot", tmp_path / "text.mp4", "--out", tmp_path / "a.png")
    assert (done.status, "it is text, and no video" in done.wrong) == (2, True)
    done = here("snapshot", noise(tmp_path / "a.avi"), "--out", tmp_path / "a.gif")
    assert (done.status, "must name a .png or .jpg file" in done.wrong) == (2, True)


def test_report_prints_the_path_of_its_page(tmp_path: Path, checkpoint: Path, here: Callable[..., Done]) -> None:
    here("watch", noise(tmp_path / "gate.avi"), "--ckpt", checkpoint)
    done = here("report", "results/watch")
    assert (done.status, done.wrong) == (0, "")
    assert Path(done.said.strip()) == tmp_path / "results" / "watch" / "report.html"
    assert here("report", "nothing").status == 2
    assert "There is no folder" in here("report", "nothing").wrong


def test_demo_tells_the_whole_story(tmp_path: Path, here: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is typed, on a scene and a network of a tenth of the size."""
    from anomalib_stmem.data import scene, walkway
    from anomalib_stmem.demo import walkthrough

    small = {"num_training": 2, "num_testing": 4, "num_frames": 24}
    monkeypatch.setattr(walkway, "write_scene", lambda root, seed: scene.write_scene(root, seed=seed, **small))
    monkeypatch.setattr(walkthrough, "WATCHED_FRAMES", 30)
    monkeypatch.setitem(walkthrough.OPTIONS, "width", 2)
    done = here("demo", "--steps", "2")
    assert done.status == 0, done.wrong
    page = Path(done.said.strip().splitlines()[-1].removeprefix("Open this page: "))
    assert page == tmp_path / "results" / "demo" / "report.html"
    text = page.read_text()
    for name in ("watch/cycle", "watch/throw", "test/01", "test/04", "image_AUROC"):
        assert f'"{name}' in text, name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results"]


def test_sources_come_from_a_file_so_that_no_password_is_on_the_command_line(
    tmp_path: Path, checkpoint: Path, here: Callable[..., Done]
) -> None:
    noise(tmp_path / "gate.avi", 12)
    noise(tmp_path / "yard.avi", 12)
    (tmp_path / "cameras.txt").write_text("front=gate.avi\nyard.avi\n")
    done = here("watch", "@cameras.txt", "--ckpt", checkpoint)
    assert done.status == 0, done
    run = json.loads((tmp_path / "results" / "watch" / "run.json").read_text())
    assert [one["name"] for one in run["sources"]] == ["front", "yard"]
