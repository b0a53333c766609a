"""The files of results: their names, and how they appear only when they are whole."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

UNFINISHED = ".part"
# In the folder of a video
SCORES, EVENTS, ANNOTATED, PLAIN, CURVE = "scores.csv", "events.json", "annotated.mp4", "plain.mp4", "curve.png"
RUN, EVENT_LINES = "run.json", "events.jsonl"  # in that of a watch
PERSPECTIVE = "perspective.png"  # in that of a test or prediction
STRIP = 48  # pixels of score under an annotated film


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a name beside ``path`` to write to; it becomes ``path`` at the end, and is deleted after an error.

    What was written reaches the disk before it gets its name, so a power cut leaves the file of before or the whole new
    one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + UNFINISHED)
    try:
        yield part
        sync(part)
        part.replace(path)
    except BaseException:
        with suppress(OSError):  # the first error tells more
            part.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a file that appears only when it is whole, as :func:`whole_file` has it."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def sync(path: Path) -> None:
    """Wait until a file is on the disk, and not only handed to the operating system."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def new_folder(wanted: Path, mark: str, *marks: str) -> Path:
    """Make ``wanted``, or ``wanted_2`` and so on where an earlier run left a mark; no two runs get the same folder.

    Args:
        wanted: the folder; it may exist without a mark.
        mark: name of a file in it, which is made empty.
        *marks: names of other files that tell of an earlier run.

    Raises:
        OSError: it cannot be written.
    """
    folder, number = wanted, 1
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        if not any((folder / other).exists() for other in marks):
            with suppress(FileExistsError):
                (folder / mark).open("x").close()
                return folder
        number += 1
        folder = numbered(wanted, number)


def numbered(folder: Path, number: int) -> Path:
    """Return ``folder_N`` beside a folder."""
    whole = folder if folder.name else folder.absolute()
    return whole.with_name(f"{whole.name}_{number}")


def to_json(data: Any, indent: int | None = None) -> str:  # noqa: ANN401  # whatever JSON holds
    """Write JSON that every reader takes: what is not a number (a metric that is not defined) becomes ``null``."""
    return json.dumps(_without_nan(data), indent=indent, allow_nan=False)


def _without_nan(data: Any) -> Any:  # noqa: ANN401
    if isinstance(data, dict):
        return {name: _without_nan(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without_nan(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
