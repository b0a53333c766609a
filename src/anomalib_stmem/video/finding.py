"""Which videos lie at a path: a video file, a folder of images, or a folder of either."""

import os
from pathlib import Path

from .names import natural_order, video_name

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})
VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".m4v", ".mkv", ".mov", ".mpg", ".mpeg", ".webm", ".wmv"})


def list_images(folder: Path) -> list[Path]:
    """List the images directly in a folder, in natural order; hidden files and other suffixes are passed over."""
    images = (p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))
    return sorted(images, key=natural_order)


def find_videos(folder: Path) -> list[Path]:
    """List the videos under a folder, however deep, in natural order: video files, and folders with images.

    A folder that itself holds images is one video.

    Raises:
        FileNotFoundError: the folder is missing or holds no video, or an empty folder lies between videos.
        ValueError: two videos have one name, so their labels and results could not be told apart.
    """
    if not folder.is_dir():
        msg = f"No folder at {folder}. Expected one sub-folder of images, or one video file, per video."
        raise FileNotFoundError(msg)
    if list_images(folder):
        return [folder]
    videos: list[Path] = []
    empty: list[Path] = []
    for place, _, files in os.walk(folder):
        here = Path(place)
        visible = [here / name for name in files if not name.startswith(".")]
        videos += [path for path in visible if path.suffix.lower() in VIDEO_SUFFIXES]
        if any(path.suffix.lower() in IMAGE_SUFFIXES for path in visible):
            videos.append(here)
        elif not any(here.iterdir()):
            empty.append(here)
    videos.sort(key=natural_order)
    if not videos:
        msg = (
            f"No video in {folder}. Expected one sub-folder of images ({', '.join(sorted(IMAGE_SUFFIXES))}) "
            f"or one file ({', '.join(sorted(VIDEO_SUFFIXES))}) per video."
        )
        raise FileNotFoundError(msg)
    if empty:
        msg = f"No image in {empty[0]}, which lies between videos. Fill the folder or remove it."
        raise FileNotFoundError(msg)
    first: dict[str, Path] = {}
    for path in videos:
        twin = first.setdefault(video_name(path, folder), path)
        if twin is not path:
            msg = f"{twin} and {path} are two videos of one name. Rename or remove one of them."
            raise ValueError(msg)
    return videos


def videos_at(path: Path) -> dict[str, Path]:
    """Name the videos at a path.

    Raises:
        FileNotFoundError: there is no such path, or no video under it.
        ValueError: two videos have one name.
    """
    if path.is_file():
        return {path.stem: path}
    if not path.exists():
        kinds = ", ".join(sorted(VIDEO_SUFFIXES))
        msg = f"There is no {path.absolute()}. Expected a video file ({kinds}), a folder of images, or one of videos."
        raise FileNotFoundError(msg)
    return {video_name(video, path): video for video in find_videos(path)}
