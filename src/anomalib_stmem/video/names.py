"""What videos are called, and the folders that bear their names."""

import os
import re
from pathlib import Path


def natural_order(path: Path) -> list[list[tuple[int, int, str]]]:
    """Sort key in which ``f9`` comes before ``f10``, folder by folder."""
    return [
        [(0, int(digits), "") if digits.isdigit() else (1, 0, digits) for digits in re.split(r"(\d+)", part)]
        for part in path.parts
    ]


def video_name(path: Path, root: Path) -> str:
    """Name a video by its path below ``root`` without suffix, such as ``gate/01``."""
    below = path.relative_to(root) if path != root else Path(path.name)
    if not path.is_dir() and below.stem.strip("."):  # "..mp4" keeps its suffix: it would have no name
        below = below.with_name(below.stem)
    return shown(below)


def shown(path: Path) -> str:
    """Return a path as text that can be printed and written anywhere, whatever bytes its name has."""
    return os.fsencode(path.as_posix()).decode(errors="backslashreplace").replace("\n", " ")


def safe_name(name: str) -> str:
    """Turn any text into the name of a file that stays in its folder: letters, digits, ``._-``, and not hidden."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "video"


def folder_of(name: str) -> Path:
    """Return the relative folder for a video's results, such as ``gate/01``; every part is safe to create."""
    path = Path(name)
    return Path(*(safe_name(part) for part in path.parts if part != path.anchor))


class Folders:
    """Gives each video a folder of its own, though two names may be safe in the same way, or differ in case only."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}

    def of(self, name: str) -> Path:
        """Return the relative folder of a video; the same name gets the same folder."""
        folder, number = folder_of(name), 1
        while self._owners.setdefault(str(folder).casefold(), name) != name:
            number += 1
            folder = folder_of(name).with_name(f"{folder_of(name).name}_{number}")
        return folder
