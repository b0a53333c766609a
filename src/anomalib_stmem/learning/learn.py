"""``stmem learn``: from normal video to a checkpoint that watches, within the minutes that a user has."""

import shlex
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from anomalib.engine import Engine
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Timer
from rich.console import Console

from ..data.normal import NormalVideos
from ..lightning_model import STMem
from ..model.calibration import HOURS_PER_DAY, as_time
from ..shell.budget import AFTER
from ..shell.save_when_stopped import STOPPED
from ..video.finding import videos_at
from ..video.frame import Size
from ..video.frame_rate import ASSUMED_RATE
from ..video.names import shown
from ..video.recorded import open_at_first
from ..watching.panel import Panel
from ..watching.signals import stopped_by_signals

MOST_PIXELS = 256 * 256  # of a frame, as in the paper
SIDE = 16  # pixels that sides are multiples of
CROP = (96, 144)  # pixels that training looks at
TRAINING = 1 / (1 + AFTER)  # of the time that is left when the video is decoded
LEAST_MINUTES = 1.0  # of video


@dataclass(frozen=True)
class Learned:
    """What learning came to."""

    path: Path  # of the checkpoint
    basis: str  # what its threshold rests on
    steps: int  # of the training
    command: str  # of anomalib that does the same
    seconds: float  # that it took


def learn(
    sources: Sequence[str],
    out: Path | str = "model.ckpt",
    minutes: float = 10.0,
    false_alarms_per_day: float = 1.0,
    frame_rate: float | None = None,
    ignore: str | None = None,
    only: str | None = None,
    console: Console | None = None,
) -> Learned:
    """Learn a camera from recorded normal video.

    As many minutes of video are taken as there are minutes to learn, in stretches spread over all of it
    (:class:`~anomalib_stmem.data.normal.NormalVideos`). The network is the one stream that the score needs.

    Args:
        sources: video files, folders of pictures, or folders of either, of one camera.
        out: checkpoint to write.
        minutes: that all of it may take.
        false_alarms_per_day: budget of the threshold, above 0.
        frame_rate: frames per second of videos that do not say theirs.
        ignore: what of the picture does not count, as :func:`~anomalib_stmem.video.region.region_of` takes it.
        only: the same of what alone counts.
        console: to show the progress on.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file is no video, there is too little of it, or ``out`` is a folder.
        OSError: the checkpoint cannot be written, or there is no room for the frames.
    """
    began, panel, out = time.monotonic(), Panel(console or Console()), Path(out)
    paths = [path for source in sources for path in videos_at(Path(source)).values()]
    size = _size_for(paths[0], frame_rate)
    if out.is_dir():
        msg = f"--out names the folder {out}. Name the file to write, as {out / 'model.ckpt'}."
        raise ValueError(msg)
    out.parent.mkdir(parents=True, exist_ok=True)
    model_options: dict[str, Any] = {
        "streams": "temporal",
        "image_size": size,
        "train_crop": (min(CROP[0], size[0]), min(CROP[1], size[1])),
        "false_alarms_per_hour": false_alarms_per_day / HOURS_PER_DAY,
        "ignore": ignore,
        "only": only,
    }
    data_options: dict[str, Any] = {
        "videos": list(sources),
        "minutes": max(minutes, LEAST_MINUTES),
        "frame_rate": frame_rate,
    }
    command = _command(model_options, data_options)
    data, stopping = NormalVideos(**data_options, num_workers=1), threading.Event()
    with TemporaryDirectory(prefix="stmem-learn-", dir=out.parent) as folder:
        timer = _Until(began + 60 * minutes, stopping, lambda: _check_what_is_learned_from(data, panel))
        engine = Engine(default_root_dir=folder, callbacks=[timer], logger=False, enable_model_summary=False)
        model = STMem(**model_options)
        try:
            with stopped_by_signals(stopping, threading.Event()):
                engine.fit(model, datamodule=data)
        except BaseException:
            for stopped in Path(folder).rglob(STOPPED.name):
                kept = stopped.replace(out.with_suffix(".stopped.ckpt"))
                panel.tell(
                    f"What was learned is in {kept}, without a threshold. To go on: {command} --ckpt_path {kept}"
                )
            raise
        (made,) = Path(folder).rglob("v0/weights/lightning/model.ckpt")
        made.replace(out)
    steps = engine.trainer.global_step
    repeat = f"{command} --trainer.max_time {_as_days(timer.allowed)}"
    return Learned(out, model.trained.explain_threshold(), steps, repeat, time.monotonic() - began)


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

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set how long it may take."""
        super().on_train_start(trainer, pl_module)
        self._ready()
        self.allowed = self._duration = max(1.0, TRAINING * (self._deadline - time.monotonic()))

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Look at the time, and whether it is stopped: then what comes after the training still comes."""
        super().on_train_batch_end(trainer, *args, **kwargs)
        trainer.should_stop = trainer.should_stop or self._stopping.is_set()


def _size_for(path: Path, frame_rate: float | None) -> Size:
    """Choose the size of frames: that of the video or, of a larger one, its proportion in :data:`MOST_PIXELS`."""
    decoder, picture = open_at_first(path, frame_rate)
    height, width = picture.shape[:2]
    decoder.close()
    scale = min(1.0, (MOST_PIXELS / (height * width)) ** 0.5)
    return max(SIDE, SIDE * round(scale * height / SIDE)), max(SIDE, SIDE * round(scale * width / SIDE))


def _check_what_is_learned_from(data: NormalVideos, panel: Panel) -> None:
    """Say how much of each video was taken, before the minutes are spent.

    Raises:
        ValueError: it is too little.
    """
    videos = {one.video.path: one for one in [*data.train_data.videos, *data.val_data.videos]}
    total = 0.0
    for path, one in videos.items():
        seconds = one.video.num_frames / (one.video.frame_rate or ASSUMED_RATE) / one.share
        panel.tell(f"{shown(path)}: {as_time(seconds / 3600)}, {one.video.num_frames} frames")
        total += seconds
    if total < 0.9 * 60 * LEAST_MINUTES:
        msg = f"That is {total:.0f} s of video. A camera needs a minute at least to be learned, and an hour is good."
        raise ValueError(msg)


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
