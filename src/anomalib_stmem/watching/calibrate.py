"""A new threshold for a camera, from its normal video, without training."""

import copy
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, cast

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from ..evaluation.events import Timeline, false_alarms
from ..model.scoring import MEASUREMENTS, ScoreHead
from ..post_processor import QUIET_SHARE, CalibratedPostProcessor
from ..record.files import whole_file
from ..streaming.backends import load_model
from ..streaming.stream import FrameStream
from .reader import Reader
from .source import Source, find_sources
from .watch import stopped_by_signals

HOURS_PER_DAY = 24.0


@dataclass(frozen=True)
class Calibration:
    """What a calibration came to."""

    path: Path  # of the new checkpoint
    seconds: float  # of normal video
    num_frames: int  # judged
    alarms_before: int | None  # on that video with the threshold of before; None where there was none
    alarms_now: int
    basis: str  # what the threshold rests on
    failures: list[str]  # a sentence for each source that was not seen to its end


@dataclass
class Seen:
    """What calibration needs of the frames of all sources."""

    measurements: list[Tensor] = field(default_factory=list)
    maps: list[tuple[float, float]] = field(default_factory=list)  # mean, and what 99 % of the pixels stay below
    videos: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def calibrate(
    sources: Sequence[str],
    ckpt: Path | str,
    out: Path | str,
    false_alarms_per_day: float = 1.0,
    minutes: float | None = None,
    console: Console | None = None,
) -> Calibration:
    """Set usual scores and threshold of a model anew, from normal video of the camera that it will watch.

    A budget of less than one false alarm in that video is extrapolated from its highest peaks
    (:func:`~anomalib_stmem.evaluation.events.extrapolated_threshold`).

    Args:
        sources: normal video, one after the other; as :func:`~.source.find_sources` takes it.
        ckpt: checkpoint to start from; it is left as it is.
        out: checkpoint to write.
        false_alarms_per_day: budget, above 0.
        minutes: of each source that are used; all by default, and of live sources what comes until Ctrl-C.
        console: to show the progress on.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the model has no calibration to set, or no frame could be judged.
        OSError: the checkpoint cannot be written.
    """
    found = find_sources(sources)
    if not Path(ckpt).is_file():
        msg = f"There is no file {Path(ckpt).absolute()}."
        raise FileNotFoundError(msg)
    model = load_model(ckpt)
    processor = model.post_processor
    if not isinstance(processor, CalibratedPostProcessor):
        msg = f"{ckpt} was trained without STMem's own post-processor, so there is nothing to calibrate."
        raise ValueError(msg)  # noqa: TRY004  # of the file, not of an argument's type
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=Path(out).parent):  # refused now, not after an hour of video
        pass
    seen = _see(model, found, minutes, console or Console())
    if not seen.frames:
        msg = f"No frame could be judged: a source needs more than {model.model.window} frames in a row."
        raise ValueError(" ".join([msg, *seen.failures]))
    timeline = Timeline(np.array(seen.videos), np.array(seen.frames), np.array(seen.rates))
    measurements = torch.stack(seen.measurements)
    before = _alarms(model.model.head, processor, measurements, timeline) if processor.is_calibrated else None
    processor.false_alarms_per_hour = false_alarms_per_day / HOURS_PER_DAY
    _set(processor, model.model.head, measurements, torch.tensor(seen.maps), timeline)
    _save(Path(ckpt), Path(out), model)
    after = _alarms(model.model.head, processor, measurements, timeline)
    hours, basis = timeline.hours, processor.basis()
    return Calibration(Path(out), 3600 * hours, len(seen.frames), before, after, basis, seen.failures)


def _see(model: Any, sources: Sequence[Source], minutes: float | None, console: Console) -> Seen:  # noqa: ANN401
    """Let a stream without post-processing look at the sources, and keep what its score head is given."""
    rate = float(model.post_processor.frame_rate)
    bare, seen, given = copy.deepcopy(model), Seen(), []
    bare.post_processor = None  # so that maps come as they are measured
    bare.model.head.register_forward_hook(lambda _head, inputs, _score: given.append(inputs[0].flatten(0, 1)))
    stream, arrived_any = FrameStream(bare), threading.Event()
    stopping = threading.Event()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[says]}"), TimeRemainingColumn())
    shown = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with stopped_by_signals(stopping, arrived_any), shown as progress:
        for number, source in enumerate(sources):
            reader = Reader(source, None if np.isnan(rate) else rate, arrived_any, console.print)
            reader.start()
            task = progress.add_task(source.name, total=None, says="")
            stream.reset()
            times: list[float] = []  # of the judged frames, in seconds
            while not (reader.has_ended or stopping.is_set()):
                arrived_any.clear()
                arrived = reader.next()
                if arrived is None:
                    arrived_any.wait(0.1)
                    continue
                if arrived.is_new_start:
                    stream.reset()
                given.clear()
                verdict = stream.push(arrived.frame)
                if verdict is not None:
                    seen.measurements.append(given[-1][0])
                    high = np.quantile(verdict.anomaly_map, QUIET_SHARE, method="higher")
                    seen.maps.append((float(verdict.anomaly_map.mean()), float(high)))
                    times.append(arrived.seconds)
                total = 60 * minutes * reader.source_rate if minutes and reader.source_rate else reader.num_announced
                says = f"{arrived.seconds:.0f} s of video"
                progress.update(task, completed=arrived.index + 1, total=total, says=says)
                if minutes is not None and arrived.seconds >= 60 * minutes:
                    break
            reader.stop()
            reader.wait()
            rate_seen = reader.frame_rate or 1.0  # one for all its frames: a live rate wavers, and their order must not
            seen.videos += [number] * len(times)
            seen.frames += [round(seconds * rate_seen) for seconds in times]
            seen.rates += [rate_seen] * len(times)
            if reader.error is not None:
                seen.failures.append(str(reader.error))
    return seen


def _set(
    processor: CalibratedPostProcessor, head: ScoreHead, measurements: Tensor, maps: Tensor, timeline: Timeline
) -> None:
    lower, upper = head.lower.clone(), head.upper.clone()
    normal = torch.zeros(len(measurements), dtype=torch.bool)
    processor.calibrate(head, normal, maps, measurements, timeline, extrapolate=True)
    # A stream measures only what decides the score; the bounds of the rest, which tables of tests use, stay.
    decides = torch.tensor([name in head.wanted for name in MEASUREMENTS])
    head.lower.copy_(torch.where(decides, head.lower, lower))
    head.upper.copy_(torch.where(decides, head.upper, upper))


def _alarms(head: ScoreHead, processor: CalibratedPostProcessor, measurements: Tensor, timeline: Timeline) -> int:
    scores = head(measurements).double()
    alarm = (scores > processor._image_threshold.double()).numpy()  # noqa: SLF001  # anomalib names no public one
    return false_alarms(alarm, np.zeros(len(alarm), bool), timeline)


def _save(ckpt: Path, out: Path, model: nn.Module) -> None:
    """Write the checkpoint with the calibration in it; weights and options stay."""
    saved = cast("dict[str, Any]", torch.load(ckpt, map_location="cpu", weights_only=True))
    kept = saved["state_dict"]
    for name, value in model.state_dict().items():
        if name in kept and name.startswith(("post_processor.", "model.head.")):
            kept[name] = value
    saved["hyper_parameters"]["false_alarms_per_hour"] = cast("Any", model.post_processor).false_alarms_per_hour
    with whole_file(out) as part:
        torch.save(saved, part)
