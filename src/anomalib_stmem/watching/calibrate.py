"""Sets the threshold of a model anew for a camera, from its normal video, without training."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ..evaluation.calibration import CalibrationFrames, levels_of, recalibrate
from ..evaluation.calibration import calibrate as calibration_of
from ..evaluation.decided import alarms, held_level
from ..evaluation.events import Timeline, false_alarms
from ..model.calibration import HOURS_PER_DAY, Calibration, as_time
from ..model.checkpoint import NORMAL_VIEW, REGION, accepted_in, read_checkpoint, write_changed
from ..model.decision import Rule
from ..model.normal_view import NormalView, Planes
from ..model.scoring import MEASUREMENTS, ScoreHead
from ..model.trained_model import TrainedModel
from ..results.files import whole_file
from ..runtime.measuring import Measured, MeasuringStream
from ..video.connection import Rtsp
from ..video.frame import Frame
from ..video.frame_rate import ASSUMED_RATE
from ..video.reader import Reader
from ..video.region import region_of
from ..video.source import Source, find_sources, masked
from .panel import Panel
from .signals import stopped_by_signals

MOST_PICTURES = 300  # that are kept at a time
SAY_EVERY = 60.0  # seconds, how far it is, where there is no terminal for a bar


@dataclass(frozen=True)
class Used:
    """What was used of a source."""

    name: str
    seconds: float  # of its video
    num_frames: int  # judged
    is_whole: bool = True  # whether nothing stopped it before its end

    def __str__(self) -> str:
        """Say it."""
        if not self.num_frames:
            return f"{self.name}: nothing was used"
        stopped = "" if self.is_whole else ", stopped before its end"
        return f"{self.name}: {as_time(self.seconds / 3600)}, {self.num_frames} frames{stopped}"


@dataclass(frozen=True)
class Recalibration:
    """What a calibration came to."""

    path: Path  # of the new checkpoint
    used: list[Used]  # of each source
    alarms_before: int | None  # on that video with the threshold of before; None where there was none
    alarms_now: int
    basis: str  # what the threshold rests on
    failures: list[str]  # a sentence for each source that was not seen to its end

    @property
    def seconds(self) -> float:
        """Of normal video."""
        return sum(one.seconds for one in self.used)


@dataclass
class Seen:
    """What calibration needs of the frames of all sources."""

    measured: list[Measured] = field(default_factory=list)
    videos: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    used: list[Used] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    pictures: list[NDArray[np.uint8]] = field(default_factory=list)  # of which normal views are learned
    picture_every: int = 20  # frames; more in long video
    num_looked_at: int = 0

    def look(self, picture: Planes) -> None:
        """Keep some of the pictures, spread over all the video."""
        if self.num_looked_at % self.picture_every == 0:
            self.pictures.append(np.round(255 * picture).astype(np.uint8))
        self.num_looked_at += 1
        if len(self.pictures) > MOST_PICTURES:
            self.pictures, self.picture_every = self.pictures[::2], 2 * self.picture_every

    def normal_view(self) -> NormalView:
        """Learn from them how pictures are."""
        return NormalView.learn(picture.astype(np.float32) / np.float32(255) for picture in self.pictures)

    def as_frames(self) -> CalibrationFrames:
        """Put it as the formula takes it."""
        timeline = Timeline(np.array(self.videos), np.array(self.frames), np.array(self.rates))
        measurements, maps = (torch.stack(column) for column in zip(*self.measured, strict=True))
        return CalibrationFrames(measurements, maps, timeline)


def calibrate(
    sources: Sequence[str],
    ckpt: Path | str,
    out: Path | str,
    false_alarms_per_day: float = 1.0,
    minutes: float | None = None,
    frame_rate: float | None = None,
    rtsp: Rtsp = "tcp",
    ignore: str | None = None,
    only: str | None = None,
    console: Console | None = None,
) -> Recalibration:
    """Move the threshold of a model by more normal video of the camera that it will watch.

    The peaks of the video that set the threshold before still count
    (:func:`~anomalib_stmem.evaluation.calibration.recalibrate`), so more video moves it less and less.

    Args:
        sources: normal video, one after the other; as :func:`~anomalib_stmem.video.source.find_sources` takes it.
        ckpt: checkpoint to start from; it is left as it is.
        out: checkpoint to write.
        false_alarms_per_day: budget, above 0.
        minutes: of each source that are used; all by default, and of live sources what comes until Ctrl-C.
        frame_rate: frames per second of recorded sources that do not say theirs; the training video's by default.
        rtsp: how RTSP is carried, ``tcp`` or ``udp``.
        ignore: what of the picture does not count from now on, beside what the checkpoint leaves out already; as
            :func:`~anomalib_stmem.video.region.region_of` takes it.
        only: the same of what alone counts.
        console: to show the progress on.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the model has no calibration to set, or no frame could be judged.
        OSError: the checkpoint cannot be written.
    """
    console = console or Console()
    found = find_sources(sources, lambda said: console.print(masked(said)))
    trained = TrainedModel.load(ckpt)
    before = trained.calibration
    if not isinstance(before, Calibration):
        msg = f"{ckpt} was trained without STMem's own post-processor, so there is nothing to calibrate."
        raise ValueError(msg)  # noqa: TRY004  # of the file, not of an argument's type
    if Path(out).exists() and Path(out).samefile(ckpt):
        msg = f"--out names the checkpoint to start from, {ckpt}, which must stay as it is. Name another file."
        raise ValueError(msg)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=Path(out).parent):  # refused now, not after an hour of video
        pass
    rate, proportion = trained.frame_rate, trained.proportion
    trained.network.exemptions.narrow(region_of(trained.image_size, ignore, only, proportion))
    read = partial(Reader, wanted=rate, proportion=proportion, frame_rate=frame_rate, rtsp=rtsp)
    seen = _see(trained, found, minutes, read, console)
    if not seen.measured:
        msg = f"No frame could be judged: a source needs more than {trained.window} frames in a row."
        raise ValueError(" ".join([msg, *seen.failures]))
    frames, head = seen.as_frames(), trained.network.head
    alarms_before = _alarms(head, before, frames) if before.is_calibrated else None
    accepted = [one["peak"] for one in accepted_in(read_checkpoint(ckpt))]
    now = _calibrate(head, before, frames, false_alarms_per_day / HOURS_PER_DAY, accepted)
    values = now.state() | {f"model.head.{name}": value for name, value in head.state_dict().items()}
    values[REGION] = trained.network.exemptions.region
    normal = None if trained.normal is None else trained.normal.joined(seen.normal_view())
    entries = {} if normal is None else {NORMAL_VIEW: normal.to_plain()}
    with whole_file(Path(out)) as part:
        write_changed(Path(ckpt), part, values, entries, now.budget)
    alarms_now = _alarms(head, now, frames)
    return Recalibration(Path(out), seen.used, alarms_before, alarms_now, now.explain(), seen.failures)


def _see(
    trained: TrainedModel,
    sources: Sequence[Source],
    minutes: float | None,
    read: Callable[..., Reader],
    console: Console,
) -> Seen:
    """Measure the frames of the sources, at the rate of the training video."""
    stream, seen, panel, said = MeasuringStream(trained), Seen(), Panel(console), time.monotonic()
    arrived, stopping = threading.Event(), threading.Event()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[says]}"), TimeRemainingColumn())
    shown = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with stopped_by_signals(stopping, arrived), shown as progress:
        for number, source in enumerate(sources):
            tell = lambda said: console.print(masked(said))  # noqa: E731  # as find_sources gets it
            reader = read(source, arrived=arrived, tell=tell)
            reader.start()
            task = progress.add_task(source.name, total=None, says="")
            stream.reset()
            times: list[float] = []  # of the judged frames, in seconds
            while not (reader.has_ended or stopping.is_set()):
                arrived.clear()
                frame = reader.next()
                if frame is None:
                    arrived.wait(0.1)
                    continue
                if frame.follows_gap:
                    stream.reset()
                if frame.frozen_since is None:
                    _add(seen.measured, times, stream.push(frame.image), frame)
                    if stream.picture is not None:
                        seen.look(stream.picture)
                share = frame.seconds / (60 * minutes) if minutes else reader.tally.share
                says = f"{frame.seconds:.0f} s of video"
                progress.update(task, completed=share, total=1.0 if share is not None else None, says=says)
                if not console.is_terminal and time.monotonic() - said >= SAY_EVERY:
                    said = time.monotonic()
                    done = "" if share is None else f", {100 * share:.0f} % of it"
                    panel.tell(f"{source.name}: {says}{done}")
                if minutes is not None and frame.seconds >= 60 * minutes:
                    break
            is_whole = reader.is_live or reader.has_ended or not stopping.is_set()
            reader.stop()
            reader.wait()
            # One rate for all its frames: a live rate wavers, and their order must not.
            rate = 1 / float(np.median(np.diff(times))) if len(times) > 1 else ASSUMED_RATE
            seen.videos += [number] * len(times)
            seen.frames += [round(seconds * rate) for seconds in times]
            seen.rates += [rate] * len(times)
            seen.used.append(Used(source.name, len(times) / rate, len(times), is_whole))
            if reader.error is not None:
                seen.failures.append(str(reader.error))
    return seen


def _add(kept: list[Measured], times: list[float], measured: Measured | None, frame: Frame) -> None:
    """Keep a measured frame, and before it those that repeated the picture before: they are normal video too.

    A late frame shows two steps of movement, so it counts as the frame before it.
    """
    if measured is None or (frame.is_late and not times):
        return
    if times and not frame.follows_gap:
        step = (frame.seconds - times[-1]) / (frame.num_repeats + 1)
        times += [times[-1] + step * (place + 1) for place in range(frame.num_repeats)]
        kept += [kept[-1]] * frame.num_repeats
    kept.append(kept[-1] if frame.is_late else measured)
    times.append(frame.seconds)


def _calibrate(
    head: ScoreHead, before: Calibration, frames: CalibrationFrames, budget: float, accepted: Sequence[float] = ()
) -> Calibration:
    """Calibrate on normal frames of which a stream measured only what decides the score."""
    if before.is_calibrated and not math.isnan(float(before.normal_hours)):
        return recalibrate(head, before, frames, budget, accepted)
    lower, upper = head.lower.clone(), head.upper.clone()
    calibration = calibration_of(head, frames, budget)
    calibration.frame_rate.copy_(before.frame_rate)
    # The bounds of the rest, which tables of tests use, stay.
    decides = torch.tensor([name in head.wanted for name in MEASUREMENTS])
    head.lower.copy_(torch.where(decides, head.lower, lower))
    head.upper.copy_(torch.where(decides, head.upper, upper))
    return calibration


def _alarms(head: ScoreHead, calibration: Calibration, frames: CalibrationFrames) -> int:
    on = float(calibration.threshold)
    rule = Rule(on=on, off=held_level(float(calibration.usual), on))
    return false_alarms(alarms(levels_of(head, frames), frames.timeline, rule), frames.timeline)
