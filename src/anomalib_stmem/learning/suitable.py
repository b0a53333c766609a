"""What the video to learn from shows, and what will come of it: told before the minutes are spent."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..model.normal_view import COLOURFUL, UNIFORM, NormalView, Views, as_view, measure
from ..model.perspective import cells, still_below
from ..model.scoring import motion_map
from ..video.recorded import Video

PICTURES = 40  # of each video that are looked at, in pairs with the picture before
DARK = 0.15  # brightness of night without lamps
MOST = 0.9  # share that counts as all
SOME = 0.2
LEAST_MOVING = 0.02  # share of the pairs in which something moves
LEAST_CELLS = 2  # that move when something does
SHAKES = 1.5  # pixels that a camera that is fixed moves at most, from frame to frame
EXPLAINED = 0.6  # of the difference of two pictures that is left when one is moved back
MOVES = 0.25  # share of the pictures that a fixed camera shows from another place at most
SAME_CAMERA = (
    0.24  # agreement from which two views may be of one camera: measured 0.10 to 0.14 of two, 0.33 by day and night
)


@dataclass(frozen=True)
class Look:
    """What a video shows; shares are of the pictures that were looked at."""

    name: str
    seconds: float
    num_frames: int
    blank: float  # share without any picture
    dark: float
    colourless: float
    moving: float  # share in which something moves
    shift: float  # pixels that the whole picture moves from frame to frame
    elsewhere: float  # share that shows the usual view from another place
    view: NDArray[np.uint8]  # (1, h', w'), the usual one


def look_at(name: str, seconds: float, video: Video) -> Look:
    """Look at some pictures of a video, spread over all of it.

    Args:
        name: of the video.
        seconds: that it lasts.
        video: to look at.
    """
    pairs = list(_pairs(video))
    figures = [measure(now) for _, now in pairs]
    greys = [as_view(now) for _, now in pairs]
    usual = NormalView.learn(now for _, now in pairs).views[:1]
    views = Views(usual)
    return Look(
        name,
        seconds,
        video.num_frames,
        blank=_share(one.structure < UNIFORM for one in figures),
        dark=_share(one.brightness < DARK for one in figures),
        colourless=_share(one.colour < COLOURFUL for one in figures),
        moving=_share(_moves(before, now) for before, now in pairs),
        shift=float(np.median([_shift(before, now) for before, now in pairs])),
        elsewhere=_share(views.agreement(grey) < SAME_CAMERA and views.is_moved(grey) for grey in greys),
        view=usual,
    )


def warnings_about(looks: Sequence[Look]) -> list[str]:
    """Say in a sentence each what will make a poor model.

    Raises:
        ValueError: no video shows anything.
    """
    weight = np.array([look.seconds for look in looks])
    share = lambda name: float(np.average([getattr(look, name) for look in looks], weights=weight))  # noqa: E731
    if share("blank") > MOST:
        msg = "The video shows nothing: its pictures are black, or all of one colour. Look at the camera."
        raise ValueError(msg)
    return [
        *(
            [f"{share('blank'):.0%} of the pictures show nothing. Leave that part out."]
            if share("blank") > 0.01
            else []
        ),
        *(_about_movement(looks, share("moving"))),
        *(_about_light(share("dark"), share("colourless"))),
        *(_about_other_cameras(looks)),
    ]


def _about_movement(looks: Sequence[Look], moving: float) -> Iterator[str]:
    restless = [look for look in looks if look.shift > SHAKES or look.elsewhere > MOVES]
    for look in restless:
        yield (
            f"{look.name}: the camera moves. STMem is for a fixed camera: its own movement will count as normal, so "
            "that little else is found."
        )
    if moving < LEAST_MOVING and not restless:
        yield (
            f"Hardly anything moves in this video (in {moving:.0%} of {PICTURES * len(looks)} looks). All movement "
            "will be abnormal to the model. Take video of hours in which people pass."
        )


def _about_light(dark: float, colourless: float) -> Iterator[str]:
    if dark > MOST:
        yield (
            "All of the video is dark. By day the model will not know the picture, and say that the camera is blinded "
            "or covered. Take video of day and night."
        )
    elif colourless > MOST:
        yield (
            "All of the video is without colour. Where the camera has colour by day, take video of the day too: "
            "colours will be new to the model."
        )
    elif max(dark, colourless) < 1 - MOST:
        yield (
            "All of the video is in daylight or lamplight. When the camera turns to night, the model will say that it "
            "is dark or in infrared light. Take video of the night too, if it shall watch at night."
        )


def _about_other_cameras(looks: Sequence[Look]) -> Iterator[str]:
    first = looks[0]
    for look in looks[1:]:
        same_size = look.view.shape == first.view.shape
        agreement = Views(first.view).agreement(look.view[0].astype(np.float32) / 255) if same_size else 0.0
        if agreement < SAME_CAMERA:
            yield (
                f"{first.name} and {look.name} show different views. A model is of one camera. If these are two "
                "cameras, learn each by itself."
            )
            return


def _pairs(video: Video) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Go through pictures with those before them, ``(3, h, w)`` RGB in [0, 1]."""
    for place in np.unique(np.linspace(0, video.num_frames - 2, PICTURES).astype(int)).tolist():
        if place + 1 not in video.gaps:
            before, now = (frame.astype(np.float32) / np.float32(255) for frame in islice(video.frames(place), 2))
            yield before, now


def _moves(before: NDArray[np.float32], now: NDArray[np.float32]) -> bool:
    motion = motion_map(2 * torch.from_numpy(now - before)[None, None])[0]
    return int((cells(motion) > still_below(motion)).sum()) >= LEAST_CELLS


def _shift(before: NDArray[np.float32], now: NDArray[np.float32]) -> float:
    """Measure how far the whole picture has moved, in pixels; 0 where a shift does not explain what changed."""
    then, this = (picture.mean(axis=0) for picture in (before, now))
    window = cv2.createHanningWindow(this.shape[::-1], cv2.CV_32F)
    (right, down), _ = cv2.phaseCorrelate(then, this, window)
    back = np.array([[1, 0, -right], [0, 1, -down]], np.float32)
    moved = cv2.warpAffine(this, back, this.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    explains = np.abs(moved - then).mean() < EXPLAINED * np.abs(this - then).mean()
    return float(np.hypot(right, down)) if explains else 0.0


def _share(values: Iterator[bool]) -> float:
    held = list(values)
    return sum(held) / max(1, len(held))
