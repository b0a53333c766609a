"""Synthetic anomalies in real video: people cut out of normal videos, pasted back too fast, too large or turned.

Scores and options can be compared on them without a look at test labels. Every video also has someone pasted who walks
as cut out and counts as normal, so that pasting alone gives nothing away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..video.finding import find_videos
from ..video.names import video_name
from ..video.recorded import open_video

MIN_FRAMES = 28  # that a person must be followed through to be cut out
MIN_AREA, MAX_WIDTH, MAX_STEP = 120 / 240**2, 60 / 240, 6 / 240  # of a person, in units of the frame's height
UPRIGHT = (1.2, 4.5)  # height over width
MIN_CONTRAST = 18  # grey levels to the background
SLOWEST = 0.5 / 240  # frame heights per frame

Image = NDArray[Any]  # (h, w, 3), uint8
Opacity = NDArray[Any]  # (h, w), float32 in [0, 1]
Clip = NDArray[np.uint8]  # (n, h, w, 3)


@dataclass(frozen=True)
class Motion:
    """How a pasted person differs from a normal one."""

    speed: float = 1.0  # of the way, times normal
    pace: float = 1.0  # of the legs, times normal
    size: float = 1.0  # times normal
    turned: bool = False  # by a right angle
    is_normal: bool = False


KINDS = {
    "walk": Motion(is_normal=True),
    "run": Motion(speed=2, pace=2),
    "run_fast": Motion(speed=3, pace=3),
    "glide": Motion(speed=2, pace=0.5),
    "glide_fast": Motion(speed=3, pace=0.5),
    "large": Motion(size=1.7),
    "large_fast": Motion(speed=2, size=1.7),
    "turned": Motion(turned=True),
}


@dataclass(frozen=True)
class Walker:
    """One person over consecutive frames."""

    pictures: list[Image]
    opacities: list[Opacity]
    centre: tuple[float, float]  # row and column, mean over the frames
    velocity: tuple[float, float]  # rows and columns per frame


def write_pasted(normal_dir: Path, out: Path, held_out: Sequence[str], versions: int = 2, seed: int = 0) -> Path:
    """Write test videos of pasted people, with masks, for ``VideoFolder``.

    Args:
        normal_dir: one video each of a fixed camera; people are cut out of all of them.
        out: ``out/testing/frames/NAME/NNNN.png`` and ``out/testing/masks/NAME/NNNN.png`` are written, where NAME is
            that of the video, the kind and a number, such as ``06_glide_0``.
        held_out: names of the videos that people are pasted into: those that the model was not trained on.
        versions: videos of each kind and held-out video.
        seed: of who is pasted where and when.

    Returns:
        ``out``.

    Raises:
        ValueError: a name is unknown, nobody could be cut out, or ``out`` holds videos already.
        FileNotFoundError: ``normal_dir`` is missing or holds no video.
    """
    if (out / "testing").exists():
        msg = f"{out}/testing is there already, and its videos would be mixed with the new ones. Name another folder."
        raise ValueError(msg)
    paths = {video_name(path, normal_dir): path for path in find_videos(normal_dir)}
    unknown = [name for name in held_out if name not in paths]
    if unknown:
        msg = f"No video {unknown[0]!r} in {normal_dir}; there are {', '.join(paths)}."
        raise ValueError(msg)
    videos = {name: read_clip(path) for name, path in paths.items()}
    walkers = [walker for video in videos.values() for walker in cut_out(video)]
    if not walkers:
        msg = (
            f"Nobody could be cut out of the videos in {normal_dir}. Expected people apart from each other, before a "
            f"fixed background, for {MIN_FRAMES} frames."
        )
        raise ValueError(msg)
    rng = np.random.default_rng(seed)
    for name in held_out:
        for kind, motion in KINDS.items():
            for version in range(versions):
                clip, mask = videos[name].copy(), np.zeros(videos[name].shape[:3], np.uint8)
                for pasted, earliest, latest in ((KINDS["walk"], 0, 1 / 8), (motion, 1 / 6, 2 / 5)):
                    start = int(rng.uniform(earliest, latest) * len(clip))
                    paste(clip, mask, walkers[rng.integers(len(walkers))], pasted, start)
                _write(clip, out / "testing" / "frames" / f"{name}_{kind}_{version}")
                _write(mask, out / "testing" / "masks" / f"{name}_{kind}_{version}")
    return out


def read_clip(path: Path) -> Clip:
    """Read a whole video, ``(n, h, w, 3)`` RGB."""
    return np.stack([frame.transpose(1, 2, 0) for frame in open_video(path).frames()])


def cut_out(video: Clip) -> list[Walker]:
    """Cut out whoever walks alone: regions unlike the median frame, followed from frame to frame."""
    background = np.median(video[:: max(1, len(video) // 100)], axis=0).astype(np.uint8)
    height = video.shape[1]
    open_tracks: list[list[_Region]] = []
    tracks: list[list[_Region]] = []
    for number, frame in enumerate(video):
        regions = _regions(frame, background, number)
        going_on = []
        for track in open_tracks:
            fitting = [
                region
                for region in regions
                if np.hypot(*np.subtract(region.centre, track[-1].centre)) < MAX_STEP * height
                and 0.75 < region.area / track[-1].area < 1.33
            ]
            if fitting:
                track.append(fitting[0])
                regions.remove(fitting[0])
                going_on.append(track)
            else:
                tracks.append(track)
        open_tracks = going_on + [[region] for region in regions]
    return [
        walker
        for track in tracks + open_tracks
        if len(track) >= MIN_FRAMES
        for walker in [_walker(video, track)]
        if abs(walker.velocity[1]) > SLOWEST * height and walker.pictures[0].shape[1] < MAX_WIDTH * height
    ]


def paste(clip: Clip, mask: NDArray[np.uint8], walker: Walker, motion: Motion, start: int) -> None:
    """Let a person enter at the border at frame ``start`` and cross the picture; changes ``clip`` and ``mask``."""
    height, width = clip.shape[1:3]
    down, right = walker.velocity
    half = walker.pictures[0].shape[1] * motion.size / 2 + 1
    first = -half if right > 0 else width + half
    for number in range(start, len(clip)):
        shown = int((number - start) * motion.pace) % len(walker.pictures)
        picture, opacity = walker.pictures[shown], walker.opacities[shown]
        if motion.turned:
            picture, opacity = (cv2.rotate(part, cv2.ROTATE_90_CLOCKWISE) for part in (picture, opacity))
        walked = motion.speed * (number - start)
        # People keep to their row nearly, so that their size stays right for where they are.
        row, column = walker.centre[0] + 0.3 * down * walked, first + right * walked
        left, top = column - motion.size * picture.shape[1] / 2, row - motion.size * picture.shape[0] / 2
        place = np.array([[motion.size, 0, left], [0, motion.size, top]], np.float32)
        # Between pixels, as real motion is; whole steps would jerk, and be found for that.
        there = cv2.warpAffine(picture, place, (width, height), borderMode=cv2.BORDER_REPLICATE)
        weight = cv2.warpAffine(opacity, place, (width, height))[..., None]
        clip[number] = np.round(clip[number] * (1 - weight) + there * weight).astype(np.uint8)
        if not motion.is_normal:
            mask[number][weight[..., 0] > 0.5] = 255


@dataclass(frozen=True)
class _Region:
    frame: int
    box: tuple[int, int, int, int]  # left, top, width, height
    area: int
    centre: tuple[float, float]  # row, column
    opacity: Opacity  # of the box


def _regions(frame: Image, background: Image, number: int) -> list[_Region]:
    """Find what differs from the background, is about as upright as a person, and is whole."""
    unlike = cv2.GaussianBlur(cv2.absdiff(frame, background).max(axis=2), (0, 0), 1.5) > MIN_CONTRAST
    joined = cv2.morphologyEx(unlike.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 3), np.uint8))
    count, labels, boxes, centres = cv2.connectedComponentsWithStats(joined)
    rows, columns = joined.shape
    found = []
    for label in range(1, count):
        left, top, width, height, area = (int(value) for value in boxes[label])
        inside = left > 1 and top > 1 and left + width < columns - 1 and top + height < rows - 1
        if inside and area > MIN_AREA * rows**2 and UPRIGHT[0] < height / width < UPRIGHT[1]:
            left, top = max(left - 3, 0), max(top - 3, 0)
            box = (left, top, min(width + 6, columns - left), min(height + 6, rows - top))
            own = (labels[top : top + box[3], left : left + box[2]] == label).astype(np.float32)
            opacity = cv2.GaussianBlur(cv2.dilate(own, np.ones((3, 3))), (0, 0), 1.0)
            found.append(_Region(number, box, area, (float(centres[label][1]), float(centres[label][0])), opacity))
    return found


def _walker(video: Clip, track: list[_Region]) -> Walker:
    pictures = []
    for region in track:
        left, top, width, height = region.box
        pictures.append(video[region.frame, top : top + height, left : left + width])
    centres = np.array([region.centre for region in track])
    velocity = (centres[-1] - centres[0]) / (len(track) - 1)
    return Walker(
        pictures,
        [region.opacity for region in track],
        (float(centres[:, 0].mean()), float(centres[:, 1].mean())),
        (float(velocity[0]), float(velocity[1])),
    )


def _write(frames: NDArray[np.uint8], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{number:04d}.png"), frame if frame.ndim == 2 else frame[..., ::-1])
