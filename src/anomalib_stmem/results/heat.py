"""The colours of an anomaly map: the one way in which heat is drawn over a picture."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ..video.frame import Image

DENSEST = 0.55  # share of the heat in the colours


def cover_with_heat(picture: Image, anomaly_map: NDArray[np.float32]) -> None:
    """Cover an ``(h, w, 3)`` picture in place where it is not as usual, so thinly that one still sees who it is."""
    cover = DENSEST * np.clip(2 * anomaly_map - 0.5, 0, 1)
    size = picture.shape[1], picture.shape[0]
    share = cv2.resize(cover, size)
    left, top, width, height = cv2.boundingRect((share > 0).astype(np.uint8))
    if not width:
        return
    covered = np.s_[top : top + height, left : left + width]  # mostly a small part, and colours cost time
    heat = cv2.applyColorMap((255 * np.clip(anomaly_map, 0, 1)).astype(np.uint8), cv2.COLORMAP_TURBO)
    heat = cv2.resize(heat, size)[covered].astype(np.float32)
    picture[covered] = picture[covered] + share[covered][:, :, None] * (heat - picture[covered])
