"""A frame with what the model says of it: heat over what was not expected, boxes, and the score so far under it."""

from collections import deque
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from ..data.frames import Size
from .events import Moment, boxes_of
from .files import STRIP, THRESHOLD

Image = NDArray[np.uint8]

SMALLEST, LARGEST = 320, 640  # width in pixels of what is kept; text must be readable, and files stay small
STRIP_SECONDS = 10.0
DENSEST = 0.55  # share of the heat in the colours
# BGR
PAPER, GRID, NORMAL, ALARM, INK = (28, 24, 22), (90, 84, 80), (214, 170, 96), (72, 84, 240), (235, 235, 235)


class Painter:
    """Draws the frames of one video, in one size.

    Args:
        source_hw: height and width of its frames.
    """

    def __init__(self, source_hw: Size) -> None:
        height, width = source_hw
        factor = LARGEST / width if width > LARGEST else max(1, -(-SMALLEST // width))
        self.size_wh = _even(width * factor), _even(height * factor)
        self.annotated_wh = self.size_wh[0], self.size_wh[1] + STRIP
        self._past: deque[tuple[float, float, bool]] = deque()  # seconds, score, alarm

    def plain(self, frame: Image) -> Image:
        """Resize a frame."""
        shrinks = frame.shape[1] > self.size_wh[0]
        way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return cv2.resize(frame, self.size_wh, interpolation=way).astype(np.uint8, copy=False)

    def annotated(self, moment: Moment, plain: Image) -> Image:
        """Draw the verdict over and under a frame that :meth:`plain` resized; frames come in order."""
        canvas = np.empty((self.annotated_wh[1], self.annotated_wh[0], 3), np.uint8)
        canvas[: self.size_wh[1]] = plain
        picture = canvas[: self.size_wh[1]]
        if moment.verdict is not None:
            cover_with_heat(picture, moment.verdict.anomaly_map)
        if moment.is_alarm and moment.verdict is not None:
            for left, top, width, height in boxes_of(moment.verdict.anomaly_map, picture.shape[:2]):
                cv2.rectangle(picture, (left, top), (left + width, top + height), ALARM, 2)
        self._draw_strip(canvas[self.size_wh[1] :], moment)
        return canvas

    def _draw_strip(self, strip: Image, moment: Moment) -> None:
        strip[:] = PAPER
        height, width = strip.shape[:2]
        now = moment.seconds
        if moment.verdict is not None:
            self._past.append((now, moment.verdict.score, moment.is_alarm))
        while self._past and now - self._past[0][0] > STRIP_SECONDS:
            self._past.popleft()
        limit = round((1 - THRESHOLD) * (height - 1))
        cv2.line(strip, (0, limit), (width, limit), GRID, 1)
        points = [
            (round(width - 1 - (now - when) / STRIP_SECONDS * width), round((1 - score) * (height - 1)), alarm)
            for when, score, alarm in self._past
        ]
        for (*one, _), (*two, alarm) in pairwise(points):
            cv2.line(strip, one, two, ALARM if alarm else NORMAL, 2 if alarm else 1, cv2.LINE_AA)
        score = "warming up" if moment.verdict is None else f"{moment.verdict.score:.2f}"
        said = f"{score} ALARM" if moment.is_alarm else score
        text = f"{_clock(now)}  {said}"
        cv2.putText(strip, text, (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, PAPER, 3, cv2.LINE_AA)
        cv2.putText(strip, text, (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)


def cover_with_heat(picture: Image, anomaly_map: NDArray[np.float32]) -> None:
    """Cover an ``(h, w, 3)`` picture in place where it is not as usual, so thinly that one still sees who it is."""
    cover = DENSEST * np.clip(2 * anomaly_map - 0.5, 0, 1)
    if not cover.any():
        return
    heat = cv2.applyColorMap((255 * np.clip(anomaly_map, 0, 1)).astype(np.uint8), cv2.COLORMAP_TURBO)
    size = picture.shape[1], picture.shape[0]
    share = cv2.resize(cover, size)[:, :, None]
    picture[:] = picture + share * (cv2.resize(heat, size).astype(np.float32) - picture)


def _even(side: float) -> int:
    return max(2, 2 * round(side / 2))


def _clock(seconds: float) -> str:
    return f"{int(seconds // 3600):d}:{int(seconds // 60) % 60:02d}:{seconds % 60:04.1f}"
