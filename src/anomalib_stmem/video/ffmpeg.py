"""Video files, pipes and streams, decoded by FFmpeg (PyAV), with what it complains of."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.error import FFmpegError
from av.video.frame import VideoFrame

from .clock import Clock
from .complaints import Complaints
from .damage import DAMAGED_ABOVE, Damage
from .frame import MOST_PIXELS, Picture
from .reasons import NoVideoError, why_not
from .upright import Deinterlacer, Upright, can_deinterlace

# Titles need not be UTF-8. PyAV 19, for Python 3.12 and later, has no option for it, and never fails over them.
ANY_METADATA: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
GREATEST_RATE = 1000  # frames per second; what is beyond is a time base
REORDERED = 64  # frames that a decoder may hold back, and more
NO_TIME_STAMPS = 0x80  # AVFMT_NOTIMESTAMPS: times of such a format are made up


@dataclass(frozen=True)
class _Shot:
    """A decoded frame with what is known of it."""

    frame: VideoFrame
    seconds: float
    follows_gap: bool
    is_damaged: bool


class FFmpegDecoder:
    """A source that FFmpeg reads, from its start.

    One thread decodes, so that every complaint belongs to the packet at hand; readers and workers are the parallelism.

    Args:
        address: a path, or a URL.
        frame_rate: frames per second to count seconds with where a recorded source says no times.
        options: of FFmpeg, for a URL.
        timeouts: seconds until a silent address counts as lost, while opening and while reading.

    Raises:
        NoVideoError: it cannot be opened, or there is no video in it; the message says why, without the address.
    """

    file: str | None = None
    note: str | None = None

    def __init__(
        self,
        address: Path | str,
        frame_rate: float | None = None,
        options: Mapping[str, str] | None = None,
        timeouts: tuple[float, float] | None = None,
    ) -> None:
        path = address if isinstance(address, Path) else None
        # "file:" keeps a name with a colon or a pattern from being taken for something else.
        name = str(address) if path is None else f"file:{path}"
        with Complaints() as said:
            try:
                self._container: Any = av.open(name, options=dict(options or {}), timeout=timeouts, **ANY_METADATA)
            except FFmpegError as error:
                raise NoVideoError(why_not(error, said, path)) from None
        self._stream = cast("Any", self._container.streams.best("video"))
        if self._stream is None:
            kinds = sorted({str(stream.type) for stream in self._container.streams}) or ["nothing"]
            self._container.close()
            msg = f"it holds {' and '.join(kinds)}, and no video"
            raise NoVideoError(msg)
        if self._holds_one_picture or self._stream.codec_context is None:
            self._container.close()
            msg = "it is a picture, and no video" if self._holds_one_picture else "FFmpeg has no decoder for it"
            raise NoVideoError(msg)
        self._stream.codec_context.thread_count = 1
        self._stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}  # FFmpeg refuses before it allocates
        self._size = path.stat().st_size if path and path.is_file() else self._container.size or 0  # PyAV 19: None
        self.frame_rate = self._announced_rate()
        self.damage = Damage()
        self.is_endless = path is None and self._size <= 0 and self._container.duration is None
        self.why_ended = "it has no frame that can be decoded"
        self._recorded = path is not None
        self._counted = self._makes_up_times and self._recorded
        self.says_times = not self._makes_up_times or (self._recorded and self.frame_rate is not None)
        self._tick = float(self._stream.time_base)  # seconds
        self._clock = Clock(self.frame_rate or frame_rate)
        self._upright = Upright(self._stream.sample_aspect_ratio)
        self._position = 0  # in bytes, of the latest packet
        self._delay: int | None = None  # ticks from the decoding of the first packet to its showing
        self._has_shown_times = False  # whether that varies: else times of showing are only guessed
        self._is_broken = False  # whether the latest thing was a complaint
        self._shots: Any = self._decode()
        self._shot: _Shot | None = None

    @property
    def is_text_art(self) -> bool:
        """Whether FFmpeg draws bytes as the characters of a terminal, which it does with any file of some suffixes."""
        return self._container.format.name in {"adf", "bin", "idf", "tty", "xbin"}

    @property
    def _holds_one_picture(self) -> bool:
        return self._container.format.name.endswith("_pipe") or self._container.format.name == "image2"

    @property
    def _makes_up_times(self) -> bool:
        return bool(self._container.format.flags & NO_TIME_STAMPS)

    def advance(self) -> bool:
        """Go to the next frame; false at the end, and when a stream is lost."""
        shot = next(self._shots, None)
        self._shot = shot or self._shot
        return shot is not None

    @property
    def length(self) -> float | None:
        """Seconds of a file from its first frame to its last, as it says itself; ``None`` where it says nothing."""
        return _announced_seconds(self._container, self._stream) if self._recorded else None

    def seek(self, seconds: float) -> bool:
        """Go on from the key frame before a time; false where that cannot be done. Advance once before."""
        if not self._recorded or self._counted or self._clock.origin is None:
            return False
        try:
            self._container.seek(round((self._clock.origin + seconds) / self._tick), stream=self._stream)
        except FFmpegError:
            return False
        self._clock = Clock(self.frame_rate, self._clock.origin)
        self._shots = self._decode()
        return True

    def picture(self) -> Picture:
        """Convert the frame at hand."""
        return self._upright.picture(self._at_hand.frame)

    @property
    def seconds(self) -> float | None:
        """Time since the first frame, by the stream's stamps; ``None`` for live formats that have none."""
        return self._at_hand.seconds if self._recorded or self.says_times else None

    @property
    def follows_gap(self) -> bool:
        """Whether the clock has jumped back before the frame at hand."""
        return self._at_hand.follows_gap

    @property
    def is_damaged(self) -> bool:
        """Whether FFmpeg complained of the frame at hand."""
        return self._at_hand.is_damaged

    @property
    def share_read(self) -> float | None:
        """How many of the file's bytes have been read."""
        return min(1.0, self._position / self._size) if self._size > 0 else None

    def close(self) -> None:
        """Let go of it."""
        self._shots.close()
        self._container.close()

    @property
    def _at_hand(self) -> _Shot:
        assert self._shot is not None  # noqa: S101  # the caller advanced
        return self._shot

    def _announced_rate(self) -> float | None:
        """Return the lower of the rates that are announced: the other one is mostly a time base or counts fields."""
        stream = self._stream
        raw, of_container = (stream.codec_context.framerate,), (stream.guessed_rate, stream.average_rate)
        announced = raw if self._makes_up_times else of_container
        known = [float(rate) for rate in announced if rate and 0 < rate < GREATEST_RATE]
        return min(known, default=None)

    def _decode(self) -> Iterator[_Shot]:
        """Go through packets and frames. Where the source is interlaced, frames pass through a filter, one late."""
        waiting: deque[_Shot] = deque()  # in the filter
        filter_: Deinterlacer | None = None
        for shot in self._decoded():
            if filter_ is None and can_deinterlace(shot.frame):
                filter_ = Deinterlacer()
            if filter_ is None:
                yield shot
                continue
            waiting.append(shot)
            for whole in filter_.push(shot.frame):
                yield replace(waiting.popleft(), frame=whole)
        for whole in filter_.flush() if filter_ else []:
            yield replace(waiting.popleft(), frame=whole)
        self._look_at_end()

    def _decoded(self) -> Iterator[_Shot]:
        """Go through packets and frames, and count what FFmpeg complains of."""
        damaged: set[int | None] = set()  # stamps of packets that the decoder complained of
        for packet in self._packets():
            frames, complaint = self._decode_packet(packet)
            if packet is not None and packet.size:
                self._is_broken = complaint is not None
            if complaint is not None:
                self.damage.note(self._clock.seconds, complaint)
                damaged = {*damaged, None if packet is None else packet.pts} if len(damaged) < REORDERED else set()
            for frame in frames:
                self.damage.num_seen += 1
                is_damaged = frame.pts in damaged
                damaged.discard(frame.pts)
                if frame.is_corrupt and not is_damaged:
                    self.damage.note(self._clock.seconds, "a frame that it needs is missing")
                yield self._timed(frame, is_damaged or bool(frame.is_corrupt))

    def _packets(self) -> Iterator[Any]:
        """Go through the packets; the last one is empty, or ``None`` where the source broke off: what is left."""
        packets = self._container.demux(self._stream)
        while True:
            with Complaints() as said:
                try:
                    packet = next(packets, None)
                except FFmpegError as error:
                    self.why_ended, self._is_broken = why_not(error, said, None), True
                    break
            self._is_broken = self._is_broken or bool(said)
            if packet is None:
                self.why_ended = "it has ended" if self.damage.num_seen else self.why_ended
                return
            self._note_times(packet)
            if packet.pos is not None:
                self._position = max(self._position, packet.pos + packet.size)
            yield packet
        yield None

    def _note_times(self, packet: Any) -> None:  # noqa: ANN401
        if packet.pts is not None and packet.dts is not None:
            delay = packet.pts - packet.dts
            self._has_shown_times |= self._delay is not None and delay != self._delay
            self._delay = delay

    def _decode_packet(self, packet: Any) -> tuple[list[VideoFrame], str | None]:  # noqa: ANN401
        """Return the frames that are ready, and the first complaint if there is one."""
        with Complaints() as said:
            try:
                frames = self._stream.codec_context.decode(packet)
            except FFmpegError as error:
                self.damage.num_seen += 1
                self.damage.num_lost += 1
                return [], said[0][2].strip() if said else error.strerror or str(error)
        return frames, said[0][2].strip() if said else None

    def _timed(self, frame: VideoFrame, is_damaged: bool) -> _Shot:
        # Some files have times of decoding only: where frames are reordered, theirs is the packet's that let them out.
        is_mixed_up = self._stream.codec_context.has_b_frames and not self._has_shown_times
        ticks = None if self._counted else frame.dts if is_mixed_up else frame.pts
        seconds = self._clock.tick(None if ticks is None else ticks * self._tick)
        return _Shot(frame, seconds, self._clock.has_jumped, is_damaged)

    def _look_at_end(self) -> None:
        """Compare the end with what the file says of its own length in seconds, if it says anything."""
        self.damage.ends_early = self._is_broken
        if not self._recorded or self._clock.seconds is None:
            return
        announced = _announced_seconds(self._container, self._stream)
        seen = self._clock.seconds + self._clock.usual_step
        if announced is not None and seen < (1 - DAMAGED_ABOVE) * announced and announced - seen > 1:
            self.damage.ends_early, self.damage.missing_seconds = True, announced - seen


def _announced_seconds(container: Any, stream: Any) -> float | None:  # noqa: ANN401
    if container.format.name == "avi" and stream.frames:  # its duration is cut by FFmpeg as the file is
        return float(stream.frames * stream.time_base)
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if container.duration and len(container.streams) == 1:  # else it may be the sound's
        return float(Fraction(container.duration, av.time_base))
    return None
