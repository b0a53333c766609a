"""Small videos, masks and dataset trees with known pixels, written by the tests that need them."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import scipy.io


def picture(level: int, number: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A grey picture with a mark that moves from frame to frame, so that no frame repeats the one before."""
    image = np.full((*size, 3), level, np.uint8)
    step = max(1, size[1] // 8)
    left = step * (number % 8)
    image[: size[0] // 4, left : left + step] = level - 60 if level > 127 else level + 60
    return image


def write_frames(folder: Path, names: Sequence[str], size: tuple[int, int] = (8, 12)) -> Path:
    """Frames whose grey value is ten times their place in ``names``."""
    folder.mkdir(parents=True)
    for place, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((*size, 3), 10 * place % 256, np.uint8))
    return folder


def write_numbered(folder: Path, count: int, suffix: str = ".jpg", size: tuple[int, int] = (8, 12)) -> Path:
    return write_frames(folder, [f"{place:03d}{suffix}" for place in range(1, count + 1)], size)


def write_video(path: Path, count: int = 7, codec: str = "MJPG", size: tuple[int, int] = (16, 32)) -> Path:
    """A video file whose frame i is grey value 10 i."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10, size[::-1])
    for place in range(count):
        writer.write(np.full((*size, 3), 10 * place % 256, np.uint8))
    writer.release()
    return path


def square_masks(count: int, abnormal: Sequence[int], size: tuple[int, int] = (8, 12)) -> np.ndarray:
    """``(count, h, w)`` masks of 0 and 1 with a square in the frames named."""
    masks = np.zeros((count, *size), np.uint8)
    for frame in abnormal:
        masks[frame, 2:5, 3:6] = 1
    return masks


def write_mask_images(folder: Path, masks: np.ndarray, pattern: str = "{:03d}.bmp") -> Path:
    folder.mkdir(parents=True)
    for number, mask in enumerate(masks, start=1):
        cv2.imwrite(str(folder / pattern.format(number)), mask * 255)
    return folder


def write_mat(path: Path, masks: np.ndarray) -> Path:
    """Avenue's form: a 1 x n cell array ``volLabel``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = np.empty((1, len(masks)), object)
    for frame, mask in enumerate(masks):
        cells[0, frame] = mask
    scipy.io.savemat(path, {"volLabel": cells})
    return path


def write_long(path: Path, seconds: float, repeats: int = 1, keys: int = 50, rate: int = 10) -> Path:
    """A video whose brightness says the second, and in which a mark moves; each picture is shown ``repeats`` times."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(rate))
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.options = {"g": str(keys)}
        for number in range(round(seconds * rate)):
            shown = number // repeats
            level = 70 + round(100 * shown * repeats / (seconds * rate))
            frame = av.VideoFrame.from_ndarray(picture(level, shown), format="bgr24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path
