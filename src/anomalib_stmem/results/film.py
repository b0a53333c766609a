"""A video file that browsers play: H.264 in MP4, by PyAV, because cv2's build has no encoder that is fast and plays."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from .files import UNFINISHED, sync

TICKS = 1000  # per second; a frame is shown at the time it was seen
AHEAD = 8  # frames that may wait to be encoded
SECONDS_PER_KEYFRAME = 1.0  # a click on the time line lands at most so far from where decoding begins


class Film:
    """Frames and when they were seen; under its name only once :meth:`close` has made it whole.

    Args:
        path: ``.mp4`` to write.
        size_wh: width and height in pixels, both even.
        frame_rate: usual frames per second.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, path: Path, size_wh: tuple[int, int], frame_rate: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self._part = path, path.with_name(path.name + UNFINISHED)
        self._container = av.open(str(self._part), "w", format="mp4", options={"movflags": "+faststart"})
        rate = Fraction(frame_rate).limit_denominator(TICKS)
        options = {"preset": "superfast", "g": str(max(1, round(SECONDS_PER_KEYFRAME * frame_rate)))}
        self._stream = self._container.add_stream("libx264", rate=rate, options=options)
        self._stream.width, self._stream.height = size_wh
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.thread_count = 1  # more threads cost more in all, and other cores have other films
        self._stream.codec_context.time_base = Fraction(1, TICKS)
        self._begin: float | None = None
        self._last = -1
        self._encoder = ThreadPoolExecutor(1, "film")  # meanwhile the network sees the next frames
        self._waiting: deque[Future[None]] = deque()

    def write(self, image: NDArray[np.uint8], seconds: float) -> None:
        """Add an ``(h, w, 3)`` BGR image, which the caller leaves as it is; the first is at the start of the film.

        Raises:
            OSError: the disk took no more of the images before. The film is gone then.
        """
        if self._begin is None:
            self._begin = seconds
        self._last = max(self._last + 1, round(TICKS * (seconds - self._begin)))
        try:
            while self._waiting and (self._waiting[0].done() or len(self._waiting) >= AHEAD):
                self._waiting.popleft().result()
        except (FFmpegError, OSError):
            self.discard()
            raise
        self._waiting.append(self._encoder.submit(self._encode, image, self._last))

    def _encode(self, image: NDArray[np.uint8], ticks: int) -> None:
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts, frame.time_base = ticks, Fraction(1, TICKS)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file and give it its name.

        Raises:
            OSError: the disk takes no more. The film is gone then.
        """
        self._encoder.shutdown()
        try:
            for written in self._waiting:
                written.result()
            self._container.mux(self._stream.encode(None))
            self._container.close()
            sync(self._part)
            self._part.replace(self.path)
        except (FFmpegError, OSError):
            self._part.unlink(missing_ok=True)
            raise

    def discard(self) -> None:
        """Leave nothing."""
        self._encoder.shutdown(cancel_futures=True)
        with suppress(FFmpegError):
            self._container.close()
        self._part.unlink(missing_ok=True)
