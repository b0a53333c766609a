"""From frame to frame: when an event begins, how it grows, when it has ended."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ..evaluation.events import begins_event
from ..video.frame import Size
from .judged_frame import THRESHOLD, JudgedFrame

Box = tuple[int, int, int, int]  # left, top, width, height in pixels of the source
MOST_BOXES = 5
UNLIKE = {"motion": "moves", "looks": "looks"}
REASONS = {  # of the kind "camera"
    "frozen": "The picture has not changed for {seconds:.1f} s: the camera or its link hangs.",
    "no signal": "There is no signal: the picture is of one colour, or none comes.",
    "dark": "The picture is dark: there is no light, or the lens is covered.",
    "blinded": "Light blinds the camera.",
    "covered": "Something covers the view, or the camera looks elsewhere.",
    "moved": "The camera has moved: it shows its view from another place.",
    "out of focus": "The picture is out of focus.",
    "infrared": "The picture has lost its colours, as in infrared light; normal video had them.",
    "noisy": "The picture is full of noise.",
}
SMALLEST = 0.001  # share of the picture that a box stands for, unless it is the only one


@dataclass(frozen=True)
class Event:
    """Frames in alarm, less than a second apart; or frames that cannot be judged, because the camera fails."""

    id: int  # from 1, in its video
    start: float  # seconds since the video's start
    end: float  # of the last frame in alarm so far
    peak: float  # of the frame with the highest score so far
    score: float  # of that frame
    start_frame: int
    end_frame: int
    peak_frame: int
    boxes: list[Box]  # of the peak frame, worst first
    reason: str  # of the alarm, in a sentence
    kind: Literal["abnormal", "camera"] = "abnormal"
    odd: list[str] = field(default_factory=list)  # of motion, speed and looks, what is as it never was in normal video
    camera: str | None = None  # of the kind "camera", what is wrong with the picture

    def as_dict(self) -> dict[str, Any]:
        """Plain data, times to the millisecond."""
        plain = asdict(self)
        plain |= {name: round(plain[name], 3) for name in ("start", "end", "peak", "score")}
        return plain | {"boxes": [list(box) for box in self.boxes]}


@dataclass(frozen=True)
class Change:
    """An event that began, has a new peak, or ended."""

    what: str  # "began", "peak" or "ended"
    event: Event


class EventTracker:
    """Joins the alarms of one video to events as they come, by the rule of :mod:`~anomalib_stmem.evaluation.events`.

    Args:
        frame_rate: frames per second.
        least_size: share of the picture that the largest region above the threshold must have for an event to begin.
        num_before: events of the video that others have told of; numbers go on from there.
    """

    def __init__(self, frame_rate: float, least_size: float = 0.0, num_before: int = 0) -> None:
        self._frame_seconds, self._least_size = 1 / frame_rate, least_size
        self.count = num_before  # of events that began
        self.open: Event | None = None

    def push(self, judged: JudgedFrame) -> Iterator[Change]:
        """Take the next frame, and say what changed."""
        seconds = judged.frame.seconds
        if judged.camera is not None:
            yield from self._fail(judged, judged.camera)
            return
        if self.open is not None and self.open.kind == "camera":
            yield from self.finish()
        if self.open is not None and begins_event(seconds - self.open.end, self._frame_seconds):
            yield from self.finish()
        if not judged.is_alarm or judged.verdict is None:
            return
        score = judged.verdict.score
        if self.open is None:
            if self._least_size and largest_region(judged.verdict.anomaly_map) < self._least_size:
                return
            self.count += 1
            self.open = self._at_peak(judged, self.count, seconds, judged.frame.index)
            yield Change("began", self.open)
            return
        if score > self.open.score:
            self.open = self._at_peak(judged, self.open.id, self.open.start, self.open.start_frame)
            yield Change("peak", self.open)
        self.open = replace(self.open, end=seconds, end_frame=judged.frame.index)

    def _fail(self, judged: JudgedFrame, camera: str) -> Iterator[Change]:
        """Begin or prolong the event of a camera whose picture cannot be judged."""
        frame, since = judged.frame, judged.camera_since
        if self.open is None or self.open.camera != camera:
            yield from self.finish()
            self.count += 1
            reason = REASONS[camera].format(seconds=frame.seconds - since)
            whole = since, frame.seconds, frame.seconds, 0.0, frame.index, frame.index, frame.index
            self.open = Event(self.count, *whole, boxes=[], reason=reason, kind="camera", camera=camera)
            yield Change("began", self.open)
        self.open = replace(self.open, end=frame.seconds, end_frame=frame.index)

    def finish(self) -> Iterator[Change]:
        """End the open event, if there is one: its second without alarm, or the video, is over."""
        if self.open is not None:
            ended, self.open = self.open, None
            yield Change("ended", ended)

    @staticmethod
    def _at_peak(judged: JudgedFrame, number: int, start: float, start_frame: int) -> Event:
        frame, verdict = judged.frame, judged.verdict
        assert verdict is not None  # noqa: S101  # the caller looked
        size = frame.image.shape[0], frame.image.shape[1]
        boxes = boxes_of(verdict.anomaly_map, size)
        return Event(
            id=number,
            start=start,
            end=frame.seconds,
            peak=frame.seconds,
            score=verdict.score,
            start_frame=start_frame,
            end_frame=frame.index,
            peak_frame=frame.index,
            boxes=boxes,
            reason=reason_of(verdict.score, boxes, size, what_is_odd(verdict.odd)),
            odd=what_is_odd(verdict.odd),
        )


def largest_region(anomaly_map: NDArray[np.float32]) -> float:
    """Return the share of a map that its largest region above the threshold has."""
    _, _, stats, _ = cv2.connectedComponentsWithStats((anomaly_map > THRESHOLD).astype(np.uint8))
    return float(stats[1:, cv2.CC_STAT_AREA].max(initial=0)) / anomaly_map.size


def boxes_of(anomaly_map: NDArray[np.float32], size_hw: Size) -> list[Box]:
    """Frame the regions of a map that are above the threshold, in pixels of a source of ``size_hw``, worst first."""
    above = (anomaly_map > THRESHOLD).astype(np.uint8)
    count, regions, stats, _ = cv2.connectedComponentsWithStats(above)
    worst = {region: float(anomaly_map[regions == region].max()) for region in range(1, count)}
    found = sorted(worst, key=lambda region: -worst[region])
    found = [region for region in found if stats[region, cv2.CC_STAT_AREA] >= SMALLEST * anomaly_map.size] or found[:1]
    high, wide = size_hw[0] / anomaly_map.shape[0], size_hw[1] / anomaly_map.shape[1]
    boxes = []
    for region in found[:MOST_BOXES]:
        left, top, width, height = (int(stats[region, column]) for column in range(4))
        boxes.append((round(left * wide), round(top * high), round(width * wide), round(height * high)))
    return boxes


def what_is_odd(odd: dict[str, float]) -> list[str]:
    """Name the sources that are odder than they ever were in normal video, or else the oddest."""
    return [name for name, excess in odd.items() if excess > 0] or sorted(odd, key=lambda name: -odd[name])[:1]


def reason_of(score: float, boxes: list[Box], size_hw: Size, odd: list[str]) -> str:
    """Say what was seen and where, for a person who gets the alarm."""
    level = f"score {score:.2f}, threshold {THRESHOLD:.2f}"
    if not boxes:
        return f"The movement in the picture as a whole is not what normal video would have next ({level})."
    left, top, width, height = boxes[0]
    column = min(2, int(3 * (left + width / 2) / size_hw[1]))
    row = min(2, int(3 * (top + height / 2) / size_hw[0]))
    place = f"{('top', 'middle', 'bottom')[row]} {('left', 'centre', 'right')[column]}"
    if odd:
        unlike = " and ".join(verb for name, verb in UNLIKE.items() if name in odd)
        compared = f"{unlike} unlike anything" if unlike else "is faster than anything"
        more = ", and is faster" if unlike and "speed" in odd else ""
        return f"What is at the {place} ({width}x{height} pixels) {compared} in normal video{more} ({level})."
    return f"The movement at the {place} ({width}x{height} pixels) is not what normal video would have next ({level})."
