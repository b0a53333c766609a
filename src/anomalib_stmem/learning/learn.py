"""``stmem learn``: from normal video, recorded or live, to a checkpoint, within the minutes that a user has."""

import shlex
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from anomalib.engine import Engine
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Timer
from rich.console import Console

from ..data.labels import LabelledVideo
from ..data.normal import NormalVideos
from ..data.sampled import SampledVideo
from ..lightning_model import STMem
from ..model.calibration import HOURS_PER_DAY, as_time
from ..shell.budget import AFTER, is_over
from ..shell.post_processor import CalibratedPostProcessor
from ..shell.save_when_stopped import STOPPED
from ..video.connection import Rtsp
from ..video.finding import videos_at
from ..video.frame import Size
from ..video.frame_rate import ASSUMED_RATE
from ..video.names import folder_of, shown
from ..video.recorded import open_at_first
from ..video.source import find_sources
from ..watching.panel import Panel
from ..watching.signals import stopped_by_signals
from .page import OddMoment, Story, write_story
from .recording import record as record_source
from .recording import seconds_of
from .suitable import Look, look_at, warnings_about

MOST_PIXELS = 300 * 300  # of a frame; Ped2 in 208x320 instead of its own 240x352 loses a point (docs/results.md)
SIDE = 16  # pixels that sides are multiples of
CROP = (96, 144)  # pixels that training looks at
TRAINING = 1 / (1 + AFTER)  # of the time that is left when the video is decoded
LEAST_MINUTES = 1.0  # of video


@dataclass(frozen=True)
class Learned:
    """What learning came to."""

    path: Path  # of the checkpoint
    page: Path  # that tells of it
    basis: str  # what its threshold rests on
    steps: int  # of the training
    command: str  # of anomalib that does the same
    seconds: float  # that it took, recording left out


def learn(
    sources: Sequence[str],
    out: Path | str = "model.ckpt",
    minutes: float = 10.0,
    record: str = "30m",
    recordings: Path | str | None = None,
    false_alarms_per_day: float = 1.0,
    frame_rate: float | None = None,
    ignore: str | None = None,
    only: str | None = None,
    rtsp: Rtsp = "tcp",
    console: Console | None = None,
) -> Learned:
    """Learn a camera from normal video.

    As many minutes of video are taken as there are minutes to learn, in stretches spread over all of it
    (:class:`~anomalib_stmem.data.normal.NormalVideos`). The network is the one stream that the score needs. A training
    that was stopped goes on where it was, and so does a recording.

    Args:
        sources: normal video of one camera, as :func:`~anomalib_stmem.video.source.find_sources` takes it. Live
            sources are recorded first.
        out: checkpoint to write; beside it a page, ``NAME.html``.
        minutes: that all of it may take, after the recording.
        record: how long to record a live source, as ``30m``, ``2h`` or ``90s``.
        recordings: folder that keeps what is recorded; by default it is deleted when the checkpoint is written.
        false_alarms_per_day: budget of the threshold, above 0.
        frame_rate: frames per second of videos that do not say theirs.
        ignore: what of the picture does not count, as :func:`~anomalib_stmem.video.region.region_of` takes it.
        only: the same of what alone counts.
        rtsp: how RTSP is carried, ``tcp`` or ``udp``.
        console: to show the progress on.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file is no video, there is too little of it, it shows nothing, or ``out`` is a folder.
        OSError: the checkpoint cannot be written, or there is no room for the frames.
    """
    panel, out = Panel(console or Console()), Path(out)
    if out.is_dir():
        msg = f"--out names the folder {out}. Name the file to write, as {out / 'model.ckpt'}."
        raise ValueError(msg)
    length = seconds_of(record)
    out.parent.mkdir(parents=True, exist_ok=True)
    recorded = Path(recordings) if recordings is not None else out.with_suffix(".recording")
    videos = _recorded(sources, recorded, length, rtsp, panel)
    began = time.monotonic()
    size = _size_for(next(iter(videos_at(Path(videos[0])).values())), frame_rate)
    model_options: dict[str, Any] = {
        "streams": "temporal",
        "image_size": size,
        "train_crop": (min(CROP[0], size[0]), min(CROP[1], size[1])),
        "false_alarms_per_hour": false_alarms_per_day / HOURS_PER_DAY,
        "ignore": ignore,
        "only": only,
    }
    data_options: dict[str, Any] = {
        "videos": videos,
        "minutes": max(minutes, LEAST_MINUTES),
        "frame_rate": frame_rate,
    }
    command = _command(model_options, data_options)
    data, stopping = NormalVideos(**data_options, num_workers=1), threading.Event()
    warnings: list[str] = []
    looks: list[Look] = []

    def look() -> None:
        looks.extend(_looks(data))
        for seen in looks:
            panel.tell(f"{seen.name}: {as_time(seen.seconds / 3600)}, {seen.num_frames} frames")
        for path in data.too_short:
            panel.tell(f"{shown(path)}: too few frames, left out")
        _refuse_too_little(sum(seen.seconds for seen in looks))
        warnings.extend(warnings_about(looks))
        for warning in warnings:
            panel.tell(warning)

    before = out.with_suffix(".stopped.ckpt")
    with _workplace(out, before, panel.tell) as folder:
        if before.is_file():
            panel.tell(f"Going on from {before}, where learning was stopped. To begin anew, delete it.")
        timer = _Until(began + 60 * minutes, stopping, look)
        engine = Engine(default_root_dir=folder, callbacks=[timer], logger=False, enable_model_summary=False)
        model = STMem(**model_options)
        with stopped_by_signals(stopping, threading.Event()):
            engine.fit(model, datamodule=data, ckpt_path=before if before.is_file() else None)
        (made,) = folder.rglob("v0/weights/lightning/model.ckpt")
        made.replace(out)
    before.unlink(missing_ok=True)
    steps, took = engine.trainer.global_step, time.monotonic() - began
    repeat = f"{command} --trainer.max_time {_as_days(timer.allowed)}"
    basis, page = model.trained.explain_threshold(), out.with_suffix(".html")
    told = as_time(took / 3600), steps, repeat
    write_story(Story(out.name, basis, warnings, looks, _odd_moments(model, data), *told), page)
    if recordings is None:
        shutil.rmtree(recorded, ignore_errors=True)
    return Learned(out, page, basis, steps, repeat, took)


@contextmanager
def _workplace(out: Path, before: Path, tell: Callable[[str], None]) -> Iterator[Path]:
    """Make the folder of a training; what a training in it had learned when it was stopped or killed is kept."""
    folder = out.with_suffix(".stmem-learning")  # a name that is nobody else's, for it is deleted

    def clear_up() -> None:
        for stopped in folder.rglob(STOPPED.name):
            stopped.replace(before)
            tell(f"What was learned is in {before}, without a threshold. The same command goes on from there.")
        shutil.rmtree(folder, ignore_errors=True)

    clear_up()
    folder.mkdir()
    try:
        yield folder
    finally:
        clear_up()


def _recorded(sources: Sequence[str], folder: Path, seconds: float, rtsp: Rtsp, panel: Panel) -> list[str]:
    """Record what is live, and return what is on disk then."""
    found = find_sources(sources, panel.tell)
    live = [source for source in found if source.kind != "file"]
    if not live:
        return list(sources) if all(Path(text).exists() for text in sources) else [one.address for one in found]
    ended = threading.Event()
    with stopped_by_signals(ended):
        for source in live:
            panel.tell(f"{source.shown}: recording {as_time(seconds / 3600)}. Ctrl-C ends the recording and learns.")
            record_source(source, folder / folder_of(source.name), seconds, panel.tell, ended, rtsp=rtsp)
    return [*(one.address for one in found if one.kind == "file"), *(str(folder / folder_of(one.name)) for one in live)]


def _looks(data: NormalVideos) -> list[Look]:
    """Look at what was taken of each video."""
    parts: dict[str, list[LabelledVideo]] = {}
    for one in [*data.train_data.videos, *data.val_data.videos]:
        parts.setdefault(str(one.video.path), []).append(one)
    looks = []
    for path, stretches in parts.items():
        video = stretches[0].video
        seconds = video.num_frames / (video.frame_rate or ASSUMED_RATE) / stretches[0].share
        looks.append(look_at(shown(Path(path)), seconds, video))
    return looks


def _refuse_too_little(seconds: float) -> None:
    if seconds < 0.9 * 60 * LEAST_MINUTES:
        msg = f"That is {seconds:.0f} s of video. A camera needs a minute at least to be learned, and an hour is good."
        raise ValueError(msg)


def _odd_moments(model: STMem, data: NormalVideos) -> list[OddMoment]:
    """Take the pictures of the moments that surprised the model most."""
    scale, videos = (
        model.post_processor,
        {one.name: one.video for one in [*data.train_data.videos, *data.val_data.videos]},
    )
    assert isinstance(scale, CalibratedPostProcessor)  # noqa: S101  # which the model makes itself
    threshold, moments = float(scale.calibration.threshold), []
    for one in scale.surprises:
        video = videos[one.video]
        seconds = video.seconds[one.frame] if isinstance(video, SampledVideo) else one.frame / ASSUMED_RATE
        where = f"{shown(video.path)} at {as_clock(seconds)}"
        moments.append(OddMoment(where, next(video.frames(one.frame)), one.level > threshold))
    return moments


class _Until(Timer):
    """Ends a training so that what comes after it is done by a deadline, or at once when somebody stops it.

    Args:
        deadline: in seconds of :func:`time.monotonic`.
        stopping: is set to stop it.
        ready: is called when the video is decoded.
    """

    def __init__(self, deadline: float, stopping: threading.Event, ready: Callable[[], None]) -> None:
        super().__init__(duration=timedelta(days=1), verbose=False)
        self._deadline, self._stopping, self._ready = deadline, stopping, ready
        self.allowed = 0.0  # seconds of training
        self._is_over = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set how long it may take."""
        super().on_train_start(trainer, pl_module)
        self._ready()
        self.allowed = max(1.0, TRAINING * (self._deadline - time.monotonic()))
        self._duration = self.time_elapsed() + self.allowed  # which may be of an earlier run

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Look at the time, and whether it is stopped: then what comes after the training still comes."""
        super().on_train_batch_end(trainer, *args, **kwargs)
        trainer.should_stop = trainer.should_stop or self._stopping.is_set()
        self._is_over = is_over(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Remember the time of a training that may go on; of a finished one Lightning would ask for this callback."""
        return {} if self._is_over else super().state_dict()


def _size_for(path: Path, frame_rate: float | None) -> Size:
    """Choose the size of frames: that of the video or, of a larger one, its proportion in :data:`MOST_PIXELS`."""
    decoder, picture = open_at_first(path, frame_rate)
    height, width = picture.shape[:2]
    decoder.close()
    scale = min(1.0, (MOST_PIXELS / (height * width)) ** 0.5)
    return max(SIDE, SIDE * round(scale * height / SIDE)), max(SIDE, SIDE * round(scale * width / SIDE))


def as_clock(seconds: float) -> str:
    """Write a moment of a video, as ``1:02:03``."""
    return str(timedelta(seconds=int(seconds)))


def _as_days(seconds: float) -> str:
    """Write a time as ``--trainer.max_time`` takes it."""
    whole = max(1, round(seconds))
    return f"{whole // 86400:02d}:{whole // 3600 % 24:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _command(model_options: dict[str, Any], data_options: dict[str, Any]) -> str:
    """Write the command of anomalib that takes these options; those that are not set are left out."""
    options = {f"--model.{name}": value for name, value in model_options.items()}
    options |= {f"--data.{name}": value for name, value in data_options.items()}
    words = ["anomalib fit --model STMem --data NormalVideos"]
    for name, value in options.items():
        if value is not None:
            text = f"[{','.join(str(part) for part in value)}]" if isinstance(value, (tuple, list)) else str(value)
            words.append(f"{name} {shlex.quote(text)}")
    return " ".join(words)
