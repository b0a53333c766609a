"""One picture of a source, to paint on it what is to be left out."""

import threading
import time
from pathlib import Path

import cv2
from rich.console import Console

from ..results.files import whole_file
from ..video.connection import Rtsp
from ..video.frame import Image
from ..video.reader import Reader
from ..video.source import find_sources, masked


def snapshot(
    source: str,
    out: Path | str = "snapshot.png",
    patience: float = 10.0,
    rtsp: Rtsp = "tcp",
    console: Console | None = None,
) -> Path:
    """Write the first whole picture of a source, upright and in its own size.

    Args:
        source: as :func:`~anomalib_stmem.video.source.find_sources` takes it; of a folder of videos the first.
        out: file to write, ``.png`` or ``.jpg``; what lies there is written over.
        patience: seconds that a live source may take to be there.
        rtsp: how RTSP is carried, ``tcp`` or ``udp``.
        console: to print on.

    Raises:
        FileNotFoundError: there is no such source.
        ValueError: it shows no picture, or the name of the file is that of no picture.
        OSError: the file cannot be written.
    """
    console, out = console or Console(), Path(out)
    if out.suffix.lower() not in {".png", ".jpg", ".jpeg"}:
        msg = f"--out must name a .png or .jpg file; got {out}."
        raise ValueError(msg)
    found, *_ = find_sources([source], lambda said: console.print(masked(said)))
    arrived = threading.Event()
    reader = Reader(found, None, arrived, lambda said: console.print(masked(said)), patience, rtsp=rtsp)
    reader.start()
    try:
        image = _first(reader, arrived, patience)
    finally:
        reader.stop()
        reader.wait()
    if image is None:
        msg = str(reader.error or f"There was no picture from {found.shown} in {patience:g} s.")
        raise ValueError(msg)
    out.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(out.suffix, image)
    with whole_file(out) as part:
        part.write_bytes(data.tobytes())
    return out


def _first(reader: Reader, arrived: threading.Event, patience: float) -> Image | None:
    until = time.monotonic() + 2 * patience
    while not reader.has_ended and time.monotonic() < until:
        arrived.clear()
        frame = reader.next()
        if frame is not None:
            return frame.image
        arrived.wait(0.1)
    return None
