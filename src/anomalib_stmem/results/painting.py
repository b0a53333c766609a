"""A frame with what the model says of it: heat over what was not expected, boxes, and the level so far under it."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np

from ..video.frame import Image, Size, halved
from ..video.region import Polygon
from .event_tracker import boxes_of
from .files import STRIP
from .heat import cover_with_heat
from .judged_frame import THRESHOLD, JudgedFrame

SMALLEST, LARGEST = 320, 640  # width in pixels of what is kept; text must be readable, and files stay small
STRIP_SECONDS = 10.0
DIMMED = 0.4  # of the brightness, where the picture does not count
# BGR
PAPER, GRID, NORMAL, ALARM, INK = (28, 24, 22), (90, 84, 80), (214, 170, 96), (72, 84, 240), (235, 235, 235)


class Painter:
    """Draws the frames of one video, in one size.

    Args:
        source_hw: height and width of its frames.
        ignored: polygons of what does not count, which are drawn.
        delay: seconds after which a frame may still be drawn.
    """

    def __init__(self, source_hw: Size, ignored: Sequence[Polygon] = (), delay: float = 0.0) -> None:
        height, width = source_hw
        self._ignored, self._kept_seconds = ignored, STRIP_SECONDS + delay
        factor = LARGEST / width if width > LARGEST else max(1, -(-SMALLEST // width))
        self.size_wh = _even(width * factor), _even(height * factor)
        self.annotated_wh = self.size_wh[0], self.size_wh[1] + STRIP
        self._past: deque[tuple[float, float, bool]] = deque()  # seconds, level, alarm

    def resized(self, judged: JudgedFrame) -> JudgedFrame:
        """Return the next frame in the size that is drawn."""
        frame, now = judged.frame, judged.frame.seconds
        near = halved(frame.image, self.size_wh[::-1])
        image = cv2.resize(near, self.size_wh).astype(np.uint8, copy=False)
        if judged.verdict is not None:
            self._past.append((now, judged.verdict.shown, judged.is_alarm))
        while self._past and now - self._past[0][0] > self._kept_seconds:
            self._past.popleft()
        return replace(judged, frame=replace(frame, image=image))

    def annotated(self, judged: JudgedFrame) -> Image:
        """Draw the verdict over and under one of the latest frames that :meth:`resized` returned."""
        canvas = np.empty((self.annotated_wh[1], self.annotated_wh[0], 3), np.uint8)
        canvas[: self.size_wh[1]] = judged.frame.image
        picture = canvas[: self.size_wh[1]]
        if judged.verdict is not None:
            cover_with_heat(picture, judged.verdict.anomaly_map)
        dim_ignored(picture, self._ignored)
        if judged.is_alarm and judged.verdict is not None:
            for left, top, width, height in boxes_of(judged.verdict.anomaly_map, picture.shape[:2]):
                cv2.rectangle(picture, (left, top), (left + width, top + height), ALARM, 2)
        self._draw_strip(canvas[self.size_wh[1] :], judged)
        return canvas

    def _draw_strip(self, strip: Image, judged: JudgedFrame) -> None:
        strip[:] = PAPER
        height, width = strip.shape[:2]
        now = judged.frame.seconds
        limit = round((1 - THRESHOLD) * (height - 1))
        cv2.line(strip, (0, limit), (width, limit), GRID, 1)
        points = [
            (round(width - 1 - (now - when) / STRIP_SECONDS * width), round((1 - score) * (height - 1)), alarm)
            for when, score, alarm in self._past
            if 0 <= now - when <= STRIP_SECONDS
        ]
        for (*one, _), (*two, alarm) in pairwise(points):
            cv2.line(strip, one, two, ALARM if alarm else NORMAL, 2 if alarm else 1, cv2.LINE_AA)
        text = f"{_clock(now)}  {words_for(judged)}"
        cv2.putText(strip, text, (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, PAPER, 3, cv2.LINE_AA)
        cv2.putText(strip, text, (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)


def dim_ignored(picture: Image, ignored: Sequence[Polygon]) -> None:
    """Darken in a picture, in place, what does not count."""
    if not ignored:
        return
    size = picture.shape[1], picture.shape[0]
    corners = [np.round(16 * (np.array(polygon) * size - 0.5)).astype(np.int32) for polygon in ignored]
    dim = cv2.fillPoly(np.zeros(picture.shape[:2], np.uint8), corners, 1, shift=4).astype(bool)
    picture[dim] = (picture[dim] * DIMMED).astype(np.uint8)


def _even(side: float) -> int:
    return max(2, 2 * round(side / 2))


def words_for(judged: JudgedFrame) -> str:
    """Say the level at a frame, or why it has none."""
    if judged.verdict is not None:
        return f"{judged.verdict.shown:.2f}{' ALARM' if judged.is_alarm else ''}"
    if judged.camera is not None:
        return f"camera: {judged.camera}"
    return "not judged" if judged.frame.is_late else "warming up"


def _clock(seconds: float) -> str:
    return f"{int(seconds // 3600):d}:{int(seconds // 60) % 60:02d}:{seconds % 60:04.1f}"
