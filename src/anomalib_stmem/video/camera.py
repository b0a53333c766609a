"""A camera of this machine, by cv2, which opens it by its number on every system."""

import cv2
import numpy as np

from .damage import Damage
from .frame import Picture
from .reasons import NoVideoError


class CameraDecoder:
    """The pictures of a local camera as they come; it has no clock.

    Args:
        address: its number, or its device, such as ``/dev/video0``.

    Raises:
        NoVideoError: it is not there, in use elsewhere, or not allowed.
    """

    frame_rate: float | None = None
    seconds: float | None = None
    share_read: float | None = None
    file: str | None = None
    note: str | None = None
    follows_gap = is_damaged = says_times = False
    is_endless = True
    why_ended = "the camera is lost"

    def __init__(self, address: str) -> None:
        self.damage = Damage()
        self._capture = cv2.VideoCapture(int(address) if address.isdigit() else address)
        if not self._capture.isOpened():
            self._capture.release()
            msg = "it is not there, in use elsewhere, or not allowed"
            raise NoVideoError(msg)

    def advance(self) -> bool:
        """Wait for the next picture; false when the camera is lost."""
        self.damage.num_seen += 1
        return self._capture.grab()

    def picture(self) -> Picture:
        """Convert the picture at hand.

        Raises:
            ValueError: the camera gave none.
        """
        read, image = self._capture.retrieve()
        if not read:
            msg = "The camera gave no picture."
            raise ValueError(msg)
        return image.astype(np.uint8, copy=False)

    def close(self) -> None:
        """Release it."""
        self._capture.release()
