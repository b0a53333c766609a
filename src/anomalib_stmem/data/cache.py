"""Decoded and resized frames of a video in one memory-mapped file, so later epochs and runs decode nothing."""

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..video.damage import OnDamage
from ..video.finding import list_images
from ..video.frame import Planes, Size
from ..video.names import shown
from ..video.pictures import starts_after_gaps
from ..video.recorded import Video, open_video

FORMAT = b"4"  # of the entries; raise it when the same file would decode or resize to other pixels


class CachedVideo:
    """A video whose frames lie decoded in a file. As cheap to read in any order as memory.

    The file's name holds a hash of the video's content, of the size and of how damage is dealt with, and the shape; it
    appears only when the file is whole. So a changed video gets a new entry, a moved one keeps its own, a crash leaves
    no bad entry, and processes that decode one video at once do not disturb each other.
    """

    can_seek = True

    def __init__(self, path: Path, entry: Path) -> None:
        self.path, self._entry = path, entry
        _, shape, source, rate, state = entry.stem.split("_")
        self.num_frames, height, width = (int(part) for part in shape.split("x"))
        source_height, source_width = (int(part) for part in source.split("x"))
        self.size_hw, self.source_hw = (height, width), (source_height, source_width)
        self.frame_rate, self.cut_off = float(rate) or None, state == "cut"
        self.damage_said = f"{shown(path)} was cut off or damaged when it was decoded." if self.cut_off else None
        self.gaps = tuple(starts_after_gaps(list_images(path)[: self.num_frames])) if path.is_dir() else ()

    def frames(self, start: int = 0) -> Iterator[Planes]:
        """Return frame ``start`` and those after it, in order."""
        yield from self._mapped()[start:]

    def read(self, start: int, stop: int) -> Planes:
        """Return frames ``start .. stop-1`` as ``(n, 3, h, w)`` RGB in [0, 255]; a view of the file."""
        return self._mapped()[start:stop]

    def _mapped(self) -> Planes:
        # Mapped per call: it costs microseconds, and an object without open files may travel to other processes.
        return np.memmap(self._entry, np.uint8, mode="r", shape=(self.num_frames, 3, *self.size_hw))


def open_cached(path: Path, cache_dir: Path, size_hw: Size | None = None, damaged: OnDamage = "refuse") -> CachedVideo:
    """Open a video through the cache, decoding it into the cache unless it is there.

    Args:
        path: a folder of images or a video file.
        cache_dir: of the entries; made if missing. An entry takes ``num_frames * h * w * 3`` bytes.
        size_hw: frames are resized to; ``None`` leaves them as they are.
        damaged: as in :func:`~anomalib_stmem.video.recorded.open_video`.

    Raises:
        OSError: the cache cannot be written; the message names it, and how much room the video needs.
        ValueError: as :func:`~anomalib_stmem.video.recorded.open_video`.
    """
    key = _content_hash(path, size_hw, damaged)
    entry = next((found for found in cache_dir.glob(f"{key}_*.rgb") if _is_whole(found)), None)
    if entry is None:
        entry = _decode_into(cache_dir, key, open_video(path, size_hw, damaged))
    return CachedVideo(path, entry)


def _content_hash(path: Path, size_hw: Size | None, damaged: OnDamage) -> str:
    digest = hashlib.sha256(FORMAT + repr((size_hw, damaged)).encode())
    for file in list_images(path) if path.is_dir() else [path]:
        digest.update(f"{file.stat().st_size} ".encode())
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:32]


def _is_whole(entry: Path) -> bool:
    shape = [int(part) for part in entry.stem.split("_")[1].split("x")]
    return entry.stat().st_size == int(np.prod(shape)) * 3


def _decode_into(cache_dir: Path, key: str, video: Video) -> Path:
    height, width = video.size_hw
    source = f"{video.source_hw[0]}x{video.source_hw[1]}_{video.frame_rate or 0!r}_{'cut' if video.cut_off else 'all'}"
    entry = cache_dir / f"{key}_{video.num_frames}x{height}x{width}_{source}.rgb"
    unfinished = cache_dir / f"{key}.{uuid.uuid4().hex}.part"
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as raw:
            for frame in video.frames():
                raw.write(frame.data)
        return unfinished.replace(entry)  # atomic, over the equal entry of another process if there is one
    except OSError as error:
        needed = video.num_frames * height * width * 3 / 2**20
        msg = (
            f"The cache {cache_dir} cannot take {video.path} ({needed:.0f} MiB): {error.strerror}. "
            "Name another folder with --data.cache_dir, or leave the option out."
        )
        raise OSError(msg) from error
    finally:
        if cache_dir.is_dir():
            unfinished.unlink(missing_ok=True)
