"""What a person calls normal after the fact is remembered: how it looks, and how high its scores went."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from threading import Event as Arrival
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..evaluation.calibration import tail_in, values_of
from ..evaluation.decided import levels
from ..evaluation.events import Timeline
from ..model.calibration import Calibration
from ..model.checkpoint import (
    ACCEPTED,
    ALLOWED,
    EXAMPLES,
    accepted_in,
    examples_as_tensor,
    read_checkpoint,
    write_changed,
)
from ..model.decision import Rule
from ..model.exemptions import allowance_of
from ..model.torch_model import Judged
from ..model.trained_model import TrainedModel
from ..results.files import RUN, whole_file
from ..results.judged_frame import THRESHOLD
from ..results.reading import inside, read_events, read_json
from ..video.damaged_files import refuse_damaged
from ..video.frame import Frame, Image, planes
from ..video.frame_rate import ASSUMED_RATE
from ..video.names import folder_of
from ..video.reader import Reader
from ..video.source import find_sources

MOST_FRAMES = 100  # of an event that are looked at, around its peak
MOST_REMEMBERED = 40  # of them, whose looks are remembered
CHUNK = 16  # frames that are judged at a time


@dataclass(frozen=True)
class Accepted:
    """An event that a person called normal, as a checkpoint keeps it."""

    event: str  # video and number
    reason: str  # of the alarm
    when: str  # it was accepted
    peak: float  # highest level, on the scale of raw scores; with what is remembered of its looks
    was: float  # the same before
    first: int  # of the items of the memory of looks that it added
    count: int
    allowance: Tensor  # how high maps may go at each place, as model.exemptions has it

    def __str__(self) -> str:
        """Say it."""
        peak = f"peak {self.was:.1f}, with them {self.peak:.1f}" if self.count else f"peak {self.peak:.1f}"
        return f"{self.event}, {self.count} new looks, {peak}. {self.reason}"


def accepted(ckpt: Path | str) -> list[Accepted]:
    """Return what was accepted into a checkpoint, in its order.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint.
    """
    return [Accepted(**one) for one in accepted_in(read_checkpoint(ckpt))]


def accept(results: Path | str, events: Sequence[str], ckpt: Path | str, out: Path | str) -> list[Accepted]:
    """Call events normal: what moves at their places as they did, what looks as they did, and scores as high.

    Maps of motion and speed count only beyond what they reached there, the memory of looks grows, and the peaks that
    are left go into the tail that sets the threshold. The network is not trained. Scales of scores stay.

    Args:
        results: folder of a watch.
        events: of them, as ``video/number``, or the number alone where one video was watched.
        ckpt: checkpoint to start from; it is left as it is.
        out: checkpoint to write.

    Returns:
        What was accepted now.

    Raises:
        FileNotFoundError: there is no such folder, file or event.
        ValueError: an event cannot be accepted, or the checkpoint has no threshold.
        OSError: the checkpoint cannot be written.
    """
    found = [_find(Path(results), name) for name in events]
    chosen = list({(video, event["id"]): (video, event, source) for video, event, source in found}.values())
    trained, calibration = _calibrated(ckpt, out)
    known, now = accepted(ckpt), datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds")
    shown = [_frames_of(trained, *one) for one in chosen]
    before, allowances = zip(*(_judge(trained, frames) for frames in shown), strict=True)
    added = [_remember(trained, frames) for frames in shown]
    trained.network.exemptions.accept([*(one.allowance for one in known), *allowances])
    new = []
    for place, (video, event, _) in enumerate(chosen):
        peak, _ = _judge(trained, shown[place])
        named = f"{video}/{event['id']}", event["reason"], now
        new.append(Accepted(*named, peak, before[place], *added[place], allowances[place].half()))
    _write(Path(ckpt), Path(out), trained, calibration, [*known, *new])
    return new


def forget(numbers: Sequence[int], ckpt: Path | str, out: Path | str) -> list[Accepted]:
    """Take back what was accepted.

    Args:
        numbers: of what :func:`accepted` lists, from 1.
        ckpt: checkpoint to start from; it is left as it is.
        out: checkpoint to write.

    Returns:
        What was taken back.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such number, or the checkpoint has no threshold.
        OSError: the checkpoint cannot be written.
    """
    trained, calibration = _calibrated(ckpt, out)
    known = accepted(ckpt)
    wrong = [number for number in numbers if not 1 <= number <= len(known)]
    if wrong:
        msg = f"There is no accepted event {wrong[0]} in {ckpt}; it has {len(known)}. `stmem accept --ckpt` lists them."
        raise ValueError(msg)
    gone = {number - 1 for number in numbers}
    kept: list[Accepted] = []
    dropped: list[int] = []  # items
    for place, one in enumerate(known):
        if place in gone:
            dropped += range(one.first, one.first + one.count)
        else:
            kept.append(replace(one, first=one.first - len(dropped)))
    if dropped:
        trained.forget(dropped)
    trained.network.exemptions.accept([one.allowance for one in kept])
    _write(Path(ckpt), Path(out), trained, calibration, kept)
    return [known[place] for place in sorted(gone)]


def _calibrated(ckpt: Path | str, out: Path | str) -> tuple[TrainedModel, Calibration]:
    trained = TrainedModel.load(ckpt)
    if not isinstance(trained.calibration, Calibration) or not trained.calibration.is_calibrated:
        msg = f"{ckpt} has no threshold that an event could move."
        raise ValueError(msg)
    if Path(out).exists() and Path(out).samefile(ckpt):
        msg = f"--out names the checkpoint to start from, {ckpt}, which must stay as it is. Name another file."
        raise ValueError(msg)
    return trained, trained.calibration


def _write(
    ckpt: Path, out: Path, trained: TrainedModel, calibration: Calibration, all_accepted: list[Accepted]
) -> None:
    """Write a checkpoint with what its memory holds now, and the threshold that follows from all peaks."""
    values = {ALLOWED: trained.network.exemptions.accepted}
    if not bool(torch.isnan(calibration.normal_hours)):  # a threshold from labels stays
        tail = tail_in(calibration).with_peaks([one.peak for one in all_accepted])
        threshold = tail.threshold(calibration.budget)
        follows = values_of(tail, threshold)
        moved = {name: follows[name] for name in ("threshold", "expected")}  # peaks stay those that were measured
        values |= Calibration(calibration.state_dict() | moved).state()
    if trained.network.appearance is not None:
        values["model.appearance.items"] = trained.network.appearance.items.half()
    entries: dict[str, Any] = {ACCEPTED: [asdict(one) for one in all_accepted]}
    if trained.examples is not None:
        entries[EXAMPLES] = examples_as_tensor(trained.examples)
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(out) as part:
        write_changed(ckpt, part, values, entries)


# -- the event as it was seen -----------------------------------------------------------------------------------------


def _find(results: Path, name: str) -> tuple[str, dict[str, Any], str]:
    """Return video, event and source of an event."""
    if not (results / RUN).is_file():
        msg = f"{results} holds no results of `stmem watch`: there is no {RUN} in it."
        raise FileNotFoundError(msg)
    run = read_json(results / RUN, dict)
    with refuse_damaged(results / RUN, "record of a watch"):
        sources = {str(one["name"]): str(one["source"]) for one in run["sources"]}
    video, _, number = name.rpartition("/")
    if not video and len(sources) == 1:
        (video,) = sources
    folder = results / folder_of(video)
    found = read_events(folder, results) if video in sources and folder.is_dir() else []
    events = {str(event["id"]): event for event in found}
    if number not in events:
        listed = ", ".join(f"{one}/1" for one in list(sources)[:3])
        msg = f"There is no event {name!r} in {results}. Expected a video and the number of its event, as {listed}."
        raise FileNotFoundError(msg)
    if events[number]["kind"] == "camera":
        what = events[number]["camera"]
        msg = f"Event {name} is of the camera itself ({what}). `stmem calibrate` with such video makes it normal."
        raise ValueError(msg)
    return video, events[number] | {"folder": str(folder)}, sources[video]


def _frames_of(trained: TrainedModel, video: str, event: dict[str, Any], source: str) -> list[Image]:
    """Decode the frames of an event and those before it that the network must see: from its source, or its own clip."""
    before = trained.window + Rule.at_rate(trained.frame_rate or ASSUMED_RATE).num_frames
    if Path(source).exists():
        reader = Reader(find_sources([source])[0], trained.frame_rate, Arrival(), lambda _: None)
        frames = [frame.image for frame in _read(reader, event, before)]
    else:
        folder = Path(event["folder"])
        clip = inside(folder / str(event.get("plain")), folder)
        if not clip.is_file():
            msg = f"Event {video}/{event['id']} cannot be seen again: neither {source} nor {clip} is there."
            raise FileNotFoundError(msg)
        reader = Reader(find_sources([str(clip)])[0], None, Arrival(), lambda _: None)
        frames = [frame.image for frame in _all(reader)]
    return frames[: MOST_FRAMES + before]


def _read(reader: Reader, event: dict[str, Any], before: int) -> Iterator[Frame]:
    """Give the frames of an event, of a long one those around its peak, and so many before them."""
    first = max(event["start_frame"], event["peak_frame"] - MOST_FRAMES // 2)
    past: deque[Frame] = deque(maxlen=before)
    for frame in _all(reader):
        if frame.index < first:
            past.append(frame)
            continue
        yield from past
        past.clear()
        if frame.index > event["end_frame"]:
            break
        yield frame
    reader.stop()


def _all(reader: Reader) -> Iterator[Frame]:
    """Give the frames of a reader of a file as they come."""
    reader.start()
    while not reader.has_ended:
        frame = reader.next()
        if frame is not None:
            yield frame
        else:
            time.sleep(0.002)
    if reader.error is not None:
        raise ValueError(str(reader.error))


@torch.no_grad()
def _judge(trained: TrainedModel, frames: list[Image]) -> tuple[float, Tensor]:
    """Return the highest level of some frames in a row, on the scale of raw scores, and how high their maps went.

    Raises:
        ValueError: they are too few.
    """
    network, window = trained.network, trained.window
    if len(frames) <= window:
        msg = f"An event of {len(frames)} frames is too short: the network looks at {window} before each."
        raise ValueError(msg)
    scores, allowances = [], []
    for start in range(0, len(frames) - window, CHUNK):
        clip = trained.preparation(_as_floats(trained, frames[start : start + CHUNK + window])[None])
        judged = network.judge(clip, [start])
        shown = trained.calibrated(Judged(judged.score[0], None, judged.anomaly_map[0, :, None])).anomaly_map[:, 0]
        maps = {name: one[0] for name, one in network.source_maps(clip).items()}
        scores.append(judged.score[0])
        allowances.append(allowance_of(maps, shown > THRESHOLD))
    raw, rate = torch.cat(scores).double().numpy(), trained.frame_rate or ASSUMED_RATE
    level = levels(raw, Timeline(np.zeros(len(raw), int), np.arange(len(raw)), np.full(len(raw), rate)))
    known = level[np.isfinite(level)]
    return float(known.max() if len(known) else raw.max()), torch.stack(allowances).amax(dim=0)


def _as_floats(trained: TrainedModel, frames: list[Image]) -> Tensor:
    pictures = np.stack([planes(frame, trained.image_size) for frame in frames])
    return torch.from_numpy(pictures.astype(np.float32) / np.float32(255))


def _remember(trained: TrainedModel, frames: list[Image]) -> tuple[int, int]:
    """Let the memory of looks grow by some frames in a row: number of its first new item, and how many there are."""
    appearance = trained.network.appearance
    if appearance is None:
        return 0, 0
    first, middle = appearance.num_items, len(frames) // 2
    some = frames[max(0, middle - MOST_REMEMBERED // 2) :][:MOST_REMEMBERED]
    return first, trained.remember(_as_floats(trained, some))
