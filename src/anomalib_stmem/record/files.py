"""The files of results: their names, and how they appear only when they are whole."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".part"
# In the folder of a video
SCORES, EVENTS, ANNOTATED, PLAIN, CURVE = "scores.csv", "events.json", "annotated.mp4", "plain.mp4", "curve.png"
RUN, EVENT_LINES = "run.json", "events.jsonl"  # in that of a watch
STRIP = 48  # pixels of score under an annotated film
THRESHOLD = 0.5  # of calibrated scores and maps


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a name beside ``path`` to write to; it becomes ``path`` at the end, and is deleted after an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + UNFINISHED)
    try:
        yield part
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def safe_name(name: str) -> str:
    """Turn any text into the name of a file that stays in its folder: letters, digits, ``._-``, and not hidden."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "video"


def fresh_folder(wanted: Path, mark: str) -> Path:
    """Return ``wanted``, or ``wanted_2`` and so on where an earlier run left its ``mark``."""
    folder, number = wanted, 1
    while (folder / mark).exists():
        number += 1
        folder = (wanted if wanted.name else wanted.absolute()).with_name(f"{wanted.absolute().name}_{number}")
    return folder
