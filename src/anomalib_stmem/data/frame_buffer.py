"""Keeps the latest decoded frames, so that clips that overlap decode each frame once."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..video.frame import Planes
from ..video.recorded import Video
from .cache import CachedVideo

OPEN_AT_ONCE = 8  # videos; a stretch of shuffled clips seldom spans more


@dataclass
class _Decoder:
    frames: Iterator[Planes]
    position: int  # of the frame that comes next


class FrameBuffer:
    """Gives runs of frames of many videos, in one process.

    The latest ``keep`` frames are kept, so clips that overlap decode each frame once as long as they are asked for in
    roughly the order of the video, which :class:`~.order.ClipOrder` sees to. Going back further starts a video file
    from its beginning.

    Args:
        keep: decoded frames to keep, of all videos together.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._kept: OrderedDict[tuple[Path, int], Planes] = OrderedDict()
        self._decoders: OrderedDict[Path, _Decoder] = OrderedDict()

    def read(self, video: Video, start: int, stop: int) -> Planes:
        """Return frames ``start .. stop-1`` as ``(n, 3, h, w)`` RGB in [0, 255]."""
        if isinstance(video, CachedVideo):
            return video.read(start, stop)
        return np.stack([self._frame(video, index) for index in range(start, stop)])

    def _frame(self, video: Video, index: int) -> Planes:
        key = video.path, index
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        decoder = self._decoder(video, index)
        while decoder.position <= index:
            self._kept[video.path, decoder.position] = next(decoder.frames)
            decoder.position += 1
        while len(self._kept) > self._keep:
            self._kept.popitem(last=False)
        return self._kept[key]

    def _decoder(self, video: Video, index: int) -> _Decoder:
        """Return a decoder of the video that has not yet passed the frame."""
        decoder = self._decoders.get(video.path)
        if decoder is None or decoder.position > index or video.can_seek:
            # Of a file, the frames just before are decoded on the way and may be asked for next.
            start = index if video.can_seek else max(0, index - self._keep)
            decoder = self._decoders[video.path] = _Decoder(video.frames(start), start)
        self._decoders.move_to_end(video.path)
        while len(self._decoders) > OPEN_AT_ONCE:
            self._decoders.popitem(last=False)
        return decoder
