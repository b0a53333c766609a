"""From a frame as FFmpeg decodes it to a picture as a player shows it: upright, with square pixels, deinterlaced."""

from contextlib import suppress
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter

from .frame import Picture

NEUTRAL = 128  # of a colour plane that holds no colour
FULL_RANGE = 2  # AVCOL_RANGE_JPEG: brightness from 0 to 255, as pictures have it
MOST_STRETCHED = 10.0  # width of a pixel by its height, or the other way round; beyond, a header is damaged
LEAST_LINES = 4  # that a frame needs to be deinterlaced


class Upright:
    """Makes pictures of one stream.

    Args:
        pixel_aspect: width of a pixel by its height, as the stream says; ``None``, 0 and what cannot be are 1.
    """

    def __init__(self, pixel_aspect: Fraction | None = None) -> None:
        aspect = float(pixel_aspect or 1)
        self._aspect = aspect if 1 / MOST_STRETCHED < aspect < MOST_STRETCHED else 1.0
        self._reformatter = VideoReformatter()  # keeps its tables from frame to frame

    def picture(self, frame: VideoFrame) -> Picture:
        """Convert one frame; grey ones stay ``(h, w)``, which is a third of the work."""
        grey = self._grey(frame)
        # One thread: the readers and workers are the parallelism.
        image: Any = grey if grey is not None else self._colour(frame)
        turns = round(frame.rotation / 90) % 4  # counterclockwise
        if turns:
            image = np.rot90(image, turns)
        if self._aspect != 1:
            image = self._stretched(image, sideways=turns % 2 == 1)
        return np.ascontiguousarray(image)

    def _colour(self, frame: VideoFrame) -> Picture:
        try:
            image: Any = self._reformatter.reformat(frame, format="bgr24", threads=1)
        except FFmpegError:  # a damaged header names a kind of colour that there is not
            image = self._reformatter.reformat(frame, format="bgr24", src_colorspace=Colorspace.ITU601, threads=1)
        return image.to_ndarray()

    @staticmethod
    def _grey(frame: VideoFrame) -> Picture | None:
        """Return the brightness of a frame without colour; ``None`` where there is colour, or other than 256 levels."""
        name = frame.format.name
        if name == "gray" or (name.startswith("yuvj4") and _is_neutral(frame)):
            return _plane(frame, 0)
        if name.startswith("yuv4") and name.endswith("p") and frame.color_range == FULL_RANGE and _is_neutral(frame):
            return _plane(frame, 0)
        return None

    def _stretched(self, image: Picture, sideways: bool) -> Picture:
        height, width = image.shape[:2]
        aspect = 1 / self._aspect if sideways else self._aspect
        wanted = max(1, round(width * aspect))
        way = cv2.INTER_AREA if wanted < width else cv2.INTER_LINEAR
        return cv2.resize(image, (wanted, height), interpolation=way).astype(np.uint8, copy=False)


def _plane(frame: VideoFrame, index: int) -> Picture:
    plane: Any = frame.planes[index]
    lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return lines[: plane.height, : plane.width]


def _is_neutral(frame: VideoFrame) -> bool:
    return all(bool((_plane(frame, index) == NEUTRAL).all()) for index in (1, 2))


class Deinterlacer:
    """Frames in, as many frames out, in order and one late; those that are interlaced are made whole by ``bwdif``."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._shape: tuple[int, int, str] | None = None

    def push(self, frame: VideoFrame) -> list[VideoFrame]:
        """Take a frame; return those that are ready."""
        shape = (frame.width, frame.height, frame.format.name)
        ready = self.flush() if shape != self._shape else []
        if self._graph is None:
            self._graph, self._shape = _graph_for(frame), shape
        self._graph.push(frame)
        return ready + self._pull()

    def flush(self) -> list[VideoFrame]:
        """Return what is left; the next frame starts anew."""
        if self._graph is None:
            return []
        self._graph.push(None)
        left = self._pull()
        self._graph = None
        return left

    def _pull(self) -> list[VideoFrame]:
        assert self._graph is not None  # noqa: S101  # both callers have one
        pulled: list[VideoFrame] = []
        with suppress(BlockingIOError, av.error.EOFError):  # FFmpeg's way of saying that none is ready
            while True:
                pulled.append(self._graph.pull())  # type: ignore[arg-type]  # there is no sound in it
        return pulled


def can_deinterlace(frame: VideoFrame) -> bool:
    """Whether a frame is interlaced, and large enough for the filter."""
    return bool(frame.interlaced_frame) and frame.height >= LEAST_LINES and frame.width >= LEAST_LINES


def _graph_for(frame: VideoFrame) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 1000)
    )
    graph.link_nodes(
        source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink")
    ).configure()
    return graph
