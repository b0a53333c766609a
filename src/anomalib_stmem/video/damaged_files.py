"""What libraries raise over a damaged file, in one sentence that names the file."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
from numpy.typing import NDArray

from .names import shown

LONGEST = 120  # letters of what a library says


@contextmanager
def refuse_damaged(path: Path, expected: str) -> Iterator[None]:
    """Refuse a file that a library cannot read, whatever it raises: there are as many kinds as ways to be damaged.

    Args:
        path: of the file that is read inside.
        expected: what it should be, such as "CSV file".

    Raises:
        ValueError: the library raised anything else than the errors below.
        OSError: it is not there, or may not be read.
        ModuleNotFoundError: the library is not installed.
    """
    try:
        yield
    except (FileNotFoundError, PermissionError, ModuleNotFoundError):
        raise
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        said = said if len(said) <= LONGEST else f"{said[:LONGEST]}..."
        msg = f"{shown(path)} is no {expected}, or it is damaged: {said.rstrip('.')}."
        raise ValueError(msg) from error


def picture_or_none(path: Path, flags: int = cv2.IMREAD_COLOR) -> NDArray | None:
    """Read a picture as cv2 does; ``None`` also where a header asks for more than cv2 takes, at which it raises."""
    with suppress(cv2.error):
        return cv2.imread(str(path), flags)
    return None
