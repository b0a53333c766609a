"""Video files of every kind, written by PyAV: what cameras, recorders and browsers make."""

import io
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from makers import picture

SIZE = (48, 64)  # height, width
RATE = 10


def pictures(count: int, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """Grey pictures, a little brighter each, with a mark that moves."""
    return [picture(60 + number % 100, number, size) for number in range(count)]


def write_film(
    path: Path | io.IOBase,
    frames: Sequence[np.ndarray],
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    container: str | None = None,
    rate: int | Fraction = RATE,
    stamps: Iterable[int] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    pixel_aspect: Fraction | None = None,
    prepare: Callable[[av.VideoCodecContext], None] = lambda _: None,
) -> Path | io.IOBase:
    """Encode BGR frames.

    Args:
        path: of the file, or what it is written to.
        frames: ``(h, w, 3)`` BGR.
        codec: that encodes.
        pix_fmt: that it encodes.
        container: by the suffix, by default.
        rate: frames per second.
        stamps: in steps of 1 / rate, rising; counted by default.
        options: of the encoder.
        container_options: of the container.
        pixel_aspect: width by height of a pixel.
        prepare: is called with the codec context before it opens.
    """
    target = str(path) if isinstance(path, Path) else path
    with av.open(target, "w", format=container, options=container_options or {}) as output:
        stream = output.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        prepare(stream.codec_context)
        for stamp, image in zip(stamps or range(len(frames)), frames, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = stamp, 1 / Fraction(rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def remux(source: Path, target: Path | io.IOBase, container: str | None = None, shift: float = 0.0) -> None:
    """Copy packets into another container, ``shift`` seconds later."""
    with (
        av.open(str(source)) as given,
        av.open(str(target) if isinstance(target, Path) else target, "w", format=container) as output,
    ):
        stream = given.streams.video[0]
        copied = output.add_stream_from_template(stream)
        for packet in given.demux(stream):
            if packet.dts is None:
                continue
            packet.pts += round(shift / packet.time_base)
            packet.dts += round(shift / packet.time_base)
            packet.stream = copied
            output.mux(packet)


class OneWay(io.RawIOBase):
    """What a browser or a pipe writes to: it cannot go back to note a length."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.written += data
        return len(data)

    def seekable(self) -> bool:
        return False
