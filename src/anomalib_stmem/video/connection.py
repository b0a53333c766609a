"""How a source is opened, whatever its kind, and the clock that goes on from one connection to the next."""

import time
from pathlib import Path
from typing import Literal

from .camera import CameraDecoder
from .decoding import Decoder, open_recorded
from .ffmpeg import FFmpegDecoder
from .source import Source

Rtsp = Literal["tcp", "udp"]
AHEAD_SECONDS = 10.0  # that the clock of a live source may be ahead of ours, since it was connected
OPEN_SECONDS, READ_SECONDS = 10.0, 5.0  # until a silent address counts as lost


def open_source(source: Source, frame_rate: float, rtsp: Rtsp = "tcp") -> Decoder:
    """Open a file, a folder, a pipe, a camera or a stream.

    Args:
        source: what to open.
        frame_rate: frames per second to count seconds with where a recorded source says no times.
        rtsp: how RTSP is carried, ``tcp`` or ``udp``.

    Raises:
        NoVideoError: no video can be had from it; the message is the reason.
    """
    if source.kind == "camera":
        return CameraDecoder(source.address)
    if source.kind == "file":
        return open_recorded(Path(source.address), frame_rate)
    scheme = source.address.split("://", 1)[0].lower()
    options = {"rtsp_transport": rtsp} if scheme in {"rtsp", "rtsps"} else {}
    return FFmpegDecoder(source.address, options=options, timeouts=(OPEN_SECONDS, READ_SECONDS))


class ConnectionClock:
    """Seconds since the source's first frame, over all its connections.

    By the decoder's clock where it has one; else by the time of arrival. A connection that follows another begins when
    it does by our clock. A live source cannot be ahead of us: if its clock jumps there, it is set by ours.
    """

    def __init__(self) -> None:
        self._zero: float | None = None  # of our clock, s
        self._offset: float | None = None  # from the decoder's seconds to ours
        self._is_live = False

    def connect(self, is_live: bool) -> None:
        """Begin a connection."""
        self._offset, self._is_live = None, is_live

    def now(self, seconds: float | None) -> float:
        """Turn the seconds of the decoder's frame at hand into those of the source."""
        arrival = time.monotonic()
        if self._zero is None:
            self._zero = arrival
        if seconds is None:
            return arrival - self._zero
        if self._offset is None or (self._is_live and seconds + self._offset > arrival - self._zero + AHEAD_SECONDS):
            self._offset = arrival - self._zero - seconds
        return seconds + self._offset
