"""Pixel ground truth of one video, in the forms in which the datasets ship it."""

from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import scipy.io
from numpy.typing import NDArray

from ..video.damaged_files import picture_or_none, refuse_damaged
from ..video.finding import list_images

Mask = NDArray[np.bool_]  # (h, w), true = abnormal


class Masks(Protocol):
    """One mask per frame of a video."""

    path: Path

    def __len__(self) -> int:
        """Return the number of masks."""
        ...

    def __getitem__(self, frame: int) -> Mask:
        """Return the mask of a frame."""
        ...


class MaskImages:
    """Masks as one image per frame, in natural order; abnormal where any channel is above zero."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = list_images(path)

    def __len__(self) -> int:
        """Return the number of masks."""
        return len(self._files)

    def __getitem__(self, frame: int) -> Mask:
        """Return the mask of a frame.

        Raises:
            ValueError: the file is not a readable image.
        """
        # As deep as it is, or a 1 in 16 bits would be lost; without an alpha channel, which is nowhere 0.
        image = picture_or_none(self._files[frame], cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
        if image is None:
            msg = f"{self._files[frame]} cannot be decoded as an image. Restore the mask or remove its video."
            raise ValueError(msg)
        return image > 0 if image.ndim == 2 else image.max(axis=-1) > 0


class MaskArray:
    """Masks in a ``(n, h, w)`` ``.npy`` file, as ShanghaiTech ships them; read from disk as needed.

    Raises:
        ValueError: it is damaged, or holds no such array.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._shape = self._opened().shape
        if len(self._shape) != 3:
            msg = f"{path} holds an array of shape {self._shape}. Expected (frames, height, width)."
            raise ValueError(msg)

    def _opened(self) -> NDArray[Any]:
        with refuse_damaged(self.path, ".npy array of numbers"):
            opened = np.load(self.path, mmap_mode="r")
            opened[:1] > 0  # noqa: B015  # which texts cannot be
        return opened

    def __len__(self) -> int:
        """Return the number of masks."""
        return self._shape[0]

    def __getitem__(self, frame: int) -> Mask:
        """Return the mask of a frame."""
        return self._opened()[frame] > 0


class MaskMat:
    """Masks in a MATLAB file with a cell array ``volLabel`` of ``(h, w)`` masks, as Avenue ships them.

    The file is read whole when the first mask is asked for, and kept at one bit per pixel.

    Raises:
        ValueError: the file is damaged, or has no ``volLabel`` of masks of one size.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with refuse_damaged(path, "MATLAB file"):
            shapes = {name: shape for name, shape, _ in scipy.io.whosmat(path)}
        if "volLabel" not in shapes:
            msg = f"{path} holds {sorted(shapes) or 'nothing'}. Expected the cell array volLabel, one mask per frame."
            raise ValueError(msg)
        self._length = int(np.prod(shapes["volLabel"]))
        self._packed: NDArray[np.uint8] | None = None
        self._shape: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        """Return the number of masks."""
        return self._length

    def __getitem__(self, frame: int) -> Mask:
        """Return the mask of a frame."""
        if self._packed is None:
            with refuse_damaged(self.path, "cell array of masks of one size"):
                cells = scipy.io.loadmat(self.path)["volLabel"].ravel()
                (self._shape,) = {cell.shape for cell in cells}
                self._packed = np.stack([np.packbits(cell > 0) for cell in cells])
        height, width = self._shape
        return np.unpackbits(self._packed[frame], count=height * width).reshape(height, width).astype(bool)


def open_masks(path: Path) -> Masks:
    """Open a folder of images, a ``.npy`` file or a ``.mat`` file."""
    if path.is_dir():
        return MaskImages(path)
    return MaskMat(path) if path.suffix == ".mat" else MaskArray(path)
