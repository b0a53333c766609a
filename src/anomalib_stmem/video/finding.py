"""Which videos lie at a path: a video file, a folder of pictures, or a folder of either."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from .names import natural_order, shown, video_name

logger = logging.getLogger(__name__)

JPEG_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})
IMAGE_SUFFIXES = JPEG_SUFFIXES | {".png", ".bmp", ".tif", ".tiff", ".webp", ".jp2", ".pgm", ".ppm", ".pnm", ".pbm"}
VIDEO_SUFFIXES = frozenset(
    {".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264", ".h265", ".hevc", ".m2ts"}
    | {".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".ogm"}
    | {".ogv", ".qt", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m"}
)
# Files that are never looked into.
OTHER_SUFFIXES = frozenset(
    {".ass", ".cfg", ".ckpt", ".csv", ".db", ".doc", ".docx", ".gz", ".htm", ".html", ".ini", ".json", ".jsonl"}
    | {".log", ".m", ".mat", ".md", ".mp3", ".npy", ".npz", ".onnx", ".part", ".pdf", ".pt", ".pth", ".py", ".rar"}
    | {".sh", ".srt", ".sub", ".tar", ".txt", ".vtt", ".wav", ".xls", ".xlsx", ".xml", ".yaml", ".yml", ".zip"}
)
NAMED = 3  # files that are named of those that are passed over

Holds = Literal["video", "picture", "neither"]


def list_images(folder: Path) -> list[Path]:
    """List the pictures directly in a folder, in natural order; hidden files and other suffixes are passed over."""
    images = (p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))
    return sorted(images, key=natural_order)


def find_videos(folder: Path, tell: Callable[[str], None] = logger.warning) -> list[Path]:
    """List the videos under a folder, however deep, in natural order: video files, and folders with pictures.

    A folder with pictures and without video files is one video. Links are followed, hidden files and folders are not.
    What has a suffix of neither is looked into; what is passed over is counted and named in one line.

    Args:
        folder: where to look.
        tell: gets that line.

    Raises:
        FileNotFoundError: the folder is missing or holds no video, or an empty folder lies between videos.
        PermissionError: a folder may not be read.
        ValueError: two videos have one name, so their labels and results could not be told apart.
    """
    if not folder.is_dir():
        msg = f"No folder at {shown(folder)}. Expected one sub-folder of pictures, or one video file, per video."
        raise FileNotFoundError(msg)
    videos: list[Path] = []
    empty: list[Path] = []
    passed_over: list[Path] = []
    for here, has_folders, files in _walk(folder):
        held = {path: what_it_holds(path) for path in files}
        films, pictures, others = ([p for p in files if held[p] == kind] for kind in ("video", "picture", "neither"))
        videos += films
        if pictures and not films:
            videos.append(here)
            if here == folder:  # one video; what lies below is something else
                break
        passed_over += others + (pictures if films else [])
        if not (has_folders or any(here.iterdir())):
            empty.append(here)
    videos.sort(key=natural_order)
    if not videos:
        msg = (
            f"No video in {shown(folder)}. Expected one sub-folder of pictures ({_listed(IMAGE_SUFFIXES)}) or one file "
            f"({_listed(VIDEO_SUFFIXES)}) per video."
        )
        raise FileNotFoundError(msg)
    if empty:
        msg = f"No image in {shown(empty[0])}, which lies between videos. Fill the folder or remove it."
        raise FileNotFoundError(msg)
    _refuse_twins(videos, folder)
    if passed_over:
        tell(_passed_over(passed_over, folder))
    return videos


def _walk(folder: Path) -> Iterator[tuple[Path, bool, list[Path]]]:
    """Give folders, whether they hold others, and their files; links are followed, hidden ones are not entered."""
    seen: set[str] = set()  # by what they really are: links may lead in circles
    for place, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield Path(place), bool(folders), [Path(place, name) for name in files if not name.startswith(".")]


def videos_at(path: Path, tell: Callable[[str], None] = logger.warning) -> dict[str, Path]:
    """Name the videos at a path.

    Args:
        path: of a file or a folder.
        tell: as in :func:`find_videos`.

    Raises:
        FileNotFoundError: there is no such path, or no video under it.
        PermissionError: a folder may not be read.
        ValueError: two videos have one name.
    """
    if path.is_symlink() and not path.exists():
        msg = f"{shown(path)} is a link to {shown(path.readlink())}, which is not there."
        raise FileNotFoundError(msg)
    if not path.exists():
        msg = (
            f"There is no {shown(path.absolute())}. Expected a video file ({_listed(VIDEO_SUFFIXES)}), a folder of "
            "pictures, or one of videos."
        )
        raise FileNotFoundError(msg)
    if not path.is_dir():
        return {video_name(path, path): path}
    return {video_name(video, path): video for video in find_videos(path, tell)}


def what_it_holds(path: Path) -> Holds:
    """Say whether a file holds a video, a picture or neither: by its suffix where that is known, else by looking."""
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return "video"
    if suffix in IMAGE_SUFFIXES:
        return "picture"
    return "neither" if suffix in OTHER_SUFFIXES or not path.is_file() else _look_into(path)


def _look_into(path: Path) -> Holds:
    from .ffmpeg import FFmpegDecoder  # FFmpeg is loaded only where a suffix does not tell
    from .reasons import NoVideoError

    try:
        decoder = FFmpegDecoder(path)
    except (NoVideoError, OSError):  # a picture is passed over: whole folders of them have suffixes that are known
        return "neither"
    has_frame = not decoder.is_text_art and decoder.advance()
    decoder.close()
    return "video" if has_frame else "neither"


def _refuse(error: OSError) -> None:
    msg = f"The folder {shown(Path(error.filename))} may not be read. Give this user the right to, or leave it out."
    raise PermissionError(msg) from error


def _refuse_twins(videos: Sequence[Path], root: Path) -> None:
    first: dict[str, Path] = {}
    for path in videos:
        twin = first.setdefault(video_name(path, root), path)
        if twin is not path:
            msg = f"{shown(twin)} and {shown(path)} are two videos of one name. Rename or remove one of them."
            raise ValueError(msg)


def _passed_over(paths: Sequence[Path], root: Path) -> str:
    names = ", ".join(shown(path.relative_to(root)) for path in paths[:NAMED])
    more = ", ..." if len(paths) > NAMED else ""
    files = f"{len(paths)} file{'s' if len(paths) > 1 else ''}"
    return f"{shown(root)}: passed over as no video: {files} ({names}{more})."


def _listed(suffixes: frozenset[str]) -> str:
    return ", ".join(sorted(suffixes))
