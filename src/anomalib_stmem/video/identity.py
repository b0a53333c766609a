"""Whether a video on disk is still the one that was judged: its size, its time, and a hash of its head and tail."""

import hashlib
from pathlib import Path
from typing import Any

from .finding import list_images

ENDS = 1 << 16  # bytes of head and of tail that are hashed


def identity(path: Path) -> dict[str, Any]:
    """Describe a video file, or a folder of images, so that a change is noticed without reading all of it.

    Returns:
        ``bytes`` of all files, ``modified`` (the latest time of change, in ns) and ``hash``, as plain data.

    Raises:
        OSError: it cannot be read.
    """
    files = list_images(path) if path.is_dir() else [path]
    digest, stats = hashlib.sha256(), [file.stat() for file in files]
    for file, stat in zip(files, stats, strict=True):
        digest.update(f"{file.name} {stat.st_size} ".encode())
    for file in {files[0]: None, files[-1]: None}:
        with file.open("rb") as content:
            digest.update(content.read(ENDS))
            content.seek(-min(ENDS, file.stat().st_size), 2)
            digest.update(content.read())
    return {
        "bytes": sum(stat.st_size for stat in stats),
        "modified": max(stat.st_mtime_ns for stat in stats),
        "hash": digest.hexdigest()[:32],
    }
