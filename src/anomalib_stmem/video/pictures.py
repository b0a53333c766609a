"""A video kept as one picture per frame: which numbers are missing, what is damaged, and how pictures are decoded."""

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError
from PIL import Image as PillowImage

from .complaints import Complaints
from .damage import Damage
from .finding import JPEG_SUFFIXES, list_images
from .frame import MOST_PIXELS, Picture, Size
from .names import shown

JPEG, PNG, TIFF = b"\xff\xd8", b"\x89PNG", (b"II*", b"MM\0*")  # first bytes
END_OF_JPEG, START_OF_SCAN, END_OF_PNG = b"\xff\xd9", b"\xff\xda", b"IEND"
NAMED = 3  # gaps that are named
TAIL = 1024  # bytes of a file that mostly hold the end of a JPEG
EXIF_ORIENTATION, TURNED = 0x0112, {5, 6, 7, 8}  # orientations in which height and width change places


class DamagedPictureError(ValueError):
    """A picture that cannot be used; the message names its file."""


class PicturesDecoder:
    """The pictures of a folder, one after the other; one that is damaged is passed over and counted.

    Args:
        files: in order.
        frame_rate: frames per second to count seconds with; one per second without it.
    """

    frame_rate: float | None = None
    says_times = is_endless = False
    why_ended = "there is no picture in it"

    def __init__(self, files: Sequence[Path], frame_rate: float | None = None) -> None:
        self.damage = Damage()
        self._rate, self._files, self._place = frame_rate or 1.0, files, -1
        self._starts, self.note = set(starts_after_gaps(files)), explain_gaps(files)
        self._picture: Picture | None = None
        self._is_damaged: bool | None = None  # the file at hand; None until somebody asks

    @classmethod
    def of_folder(cls, folder: Path, frame_rate: float | None = None) -> "PicturesDecoder":
        """Take all pictures of a folder."""
        return cls(list_images(folder), frame_rate)

    def advance(self) -> bool:
        """Go to the next file."""
        self._place, self._picture, self._is_damaged = self._place + 1, None, None
        self.damage.num_seen = min(self._place + 1, len(self._files))
        return self._place < len(self._files)

    @property
    def length(self) -> float:
        """Seconds of all files."""
        return len(self._files) / self._rate

    def seek(self, seconds: float) -> bool:
        """Go on from a time."""
        self._place = min(len(self._files), int(seconds * self._rate)) - 1
        return True

    def picture(self) -> Picture:
        """Decode the file at hand.

        Raises:
            DamagedPictureError: it is empty, cut off or no picture.
        """
        if self._picture is None:
            self._picture = read_picture(self._files[self._place])
        return self._picture

    @property
    def file(self) -> str | None:
        """Name of the file at hand."""
        return self._files[min(self._place, len(self._files) - 1)].name

    @property
    def seconds(self) -> float:
        """Count from the first file."""
        return self._place / self._rate

    @property
    def follows_gap(self) -> bool:
        """Whether numbers are missing between the file before and the one at hand."""
        return self._place in self._starts

    @property
    def is_damaged(self) -> bool:
        """Whether the file at hand cannot be used; it is decoded to know, and counted once."""
        if self._is_damaged is None:
            complaint = self._complaint()
            self._is_damaged = complaint is not None
            if complaint is not None:
                self.damage.note(self.seconds, complaint)
        return self._is_damaged

    def _complaint(self) -> str | None:
        try:
            self.picture()
        except DamagedPictureError as error:
            return str(error)
        file = self._files[self._place]
        data = file.read_bytes() if file.suffix.lower() in JPEG_SUFFIXES else b""
        complaint = _complaint_of_jpeg(data) if data.startswith(JPEG) else None
        return complaint and f"{file.name} is damaged: {complaint}"

    @property
    def share_read(self) -> float:
        """How many of the files have been read."""
        return min(1.0, (self._place + 1) / max(1, len(self._files)))

    def close(self) -> None:
        """Nothing is open."""


def read_picture(file: Path) -> Picture:
    """Decode a picture as a viewer shows it: turned by its EXIF orientation, 8 bits, grey or BGR, without alpha.

    16 bits are scaled by their full range, floats by [0, 1].

    Raises:
        DamagedPictureError: it is empty, cut off, no picture, larger than :data:`~.frame.MOST_PIXELS`, or of floats
            beyond [0, 1].
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        msg = f"{shown(file)} cannot be read: {error.strerror}."
        raise DamagedPictureError(msg) from error
    _check(file, data)
    _refuse_huge(file, data)
    image = _by_cv2(data, cv2.IMREAD_ANYCOLOR)
    if image is None and data.startswith(TIFF):
        image = _from_floats(file, _by_cv2(data, cv2.IMREAD_UNCHANGED))
    if image is None:
        image = _by_pillow(file)
    return image.squeeze(-1) if image.ndim == 3 and image.shape[2] == 1 else image


def _refuse_huge(file: Path, data: bytes) -> None:
    """Refuse a picture by the size in its header, before anything is allocated for it."""
    try:
        with PillowImage.open(io.BytesIO(data)) as image:
            is_huge = math.prod(image.size) > MOST_PIXELS
    except (PillowImage.DecompressionBombError, PillowImage.DecompressionBombWarning):
        is_huge = True
    except Exception:  # noqa: BLE001  # a kind that Pillow does not know, or a header that it cannot read
        return
    if is_huge:
        msg = f"{shown(file)} has more than {MOST_PIXELS / 1e6:.0f} million pixels. Shrink it or remove its video."
        raise DamagedPictureError(msg)


def picture_size(file: Path) -> Size:
    """Return height and width of a picture as it is shown, from its header.

    Raises:
        DamagedPictureError: it is empty, cut off or no picture.
    """
    try:
        with file.open("rb") as opened, PillowImage.open(opened) as image:
            size = image.height, image.width
            if math.prod(size) > MOST_PIXELS:
                _refuse_huge(file, file.read_bytes())
            turned = image.getexif().get(EXIF_ORIENTATION) in TURNED
            opened.seek(-min(TAIL, file.stat().st_size), 2)
            end = opened.read()
            if image.format in {"JPEG", "PNG"} and not (END_OF_JPEG in end or END_OF_PNG in end):
                _check(file, file.read_bytes())
            return size[::-1] if turned else size
    except DamagedPictureError:
        raise
    except Exception as error:  # Pillow raises whatever comes to its mind
        _check(file, file.read_bytes())
        _refuse_huge(file, file.read_bytes())
        msg = f"{shown(file)} is no picture that can be read. Restore the frame or remove its video."
        raise DamagedPictureError(msg) from error


def starts_after_gaps(files: Sequence[Path]) -> Iterator[int]:
    """Give the places of files before which numbers are missing: steps greater than the usual one between numbers.

    The number of a file is the last one in its name. With 001, 002, 003, 045 it is place 3; with 005, 010, 015 there is
    none.
    """
    numbers = [re.findall(r"\d+", file.stem) for file in files]
    if len(files) < 3 or not all(numbers):
        return
    steps = [int(after[-1]) - int(before[-1]) for before, after in pairwise(numbers)]
    usual = float(np.median(steps))
    yield from (place for place, step in enumerate(steps, start=1) if usual > 0 and step > usual)


def explain_gaps(files: Sequence[Path]) -> str | None:
    """Say between which files numbers are missing; ``None`` if nowhere."""
    places = list(starts_after_gaps(files))
    if not places:
        return None
    pairs = ", ".join(f"{files[place - 1].name} and {files[place].name}" for place in places[:NAMED])
    more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    return f"{shown(files[0].parent)}: frames are missing between {pairs}{more}."


def _check(file: Path, data: bytes) -> None:
    """Refuse a file that is empty, or a JPEG whose end is missing: cv2 would fill it up with grey and say nothing."""
    if not data:
        msg = f"{shown(file)} is empty (0 bytes). Restore the frame or remove its video."
        raise DamagedPictureError(msg)
    end = data[-TAIL:]
    # What follows the end, as cameras pad it, does not matter; a preview inside a JPEG has an end of its own.
    jpeg_ends = not data.startswith(JPEG) or END_OF_JPEG in end or data.rfind(END_OF_JPEG) >= data.rfind(START_OF_SCAN)
    png_ends = not data.startswith(PNG) or END_OF_PNG in end or END_OF_PNG in data
    if not (jpeg_ends and png_ends):
        msg = f"{shown(file)} is cut off. Restore the frame or remove its video."
        raise DamagedPictureError(msg)


def _from_floats(file: Path, image: Any) -> Any:  # noqa: ANN401
    if image is None or not np.issubdtype(image.dtype, np.floating):
        return None
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 1):  # false for NaN too
        msg = f"{shown(file)} holds floats from {low:.3g} to {high:.3g}. Expected [0, 1]."
        raise DamagedPictureError(msg)
    return np.round(255 * image).astype(np.uint8)


def _by_cv2(data: bytes, flags: int) -> Any:  # noqa: ANN401
    with suppress(cv2.error):  # of headers that ask for more than it takes
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    return None


def _complaint_of_jpeg(data: bytes) -> str | None:
    """Let FFmpeg decode a JPEG too, because libjpeg makes a picture of rubbish and tells nobody."""
    with Complaints() as said, suppress(FFmpegError):
        decoder = av.CodecContext.create("mjpeg", "r")
        decoder.decode(av.Packet(data))
    return said[0][2].strip() if said else None


def _by_pillow(file: Path) -> Any:  # noqa: ANN401
    """Decode what cv2 cannot: CMYK, palettes of rare kinds."""
    try:
        with PillowImage.open(file) as image:
            return cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR)
    except Exception as error:  # as above
        msg = f"{shown(file)} is no picture that can be read, or is cut off. Restore the frame or remove its video."
        raise DamagedPictureError(msg) from error
