"""How the picture of a camera usually is: bright, sharp, colourful, and of what. Without torch.

What is wrong with a picture is wrong with the camera, and not what somebody in it does: it is dark, covered, blinded,
moved, out of focus, noisy, in infrared light, or no picture at all. Nothing can be said of movement then.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Planes = NDArray[np.float32]  # (3, h, w) RGB in [0, 1]
Grey = NDArray[np.float32]  # (h, w) in [0, 1]
Trouble = Literal["no signal", "dark", "blinded", "covered", "moved", "out of focus", "infrared", "noisy"]
TROUBLES: tuple[Trouble, ...] = (
    *("no signal", "dark", "blinded", "covered", "moved", "out of focus", "infrared", "noisy"),
)

# Measured in docs/results.md, "Events of the camera".
UNIFORM = 1.5 / 255  # deviation of all pixels, below which there is no picture
DARK = 0.25  # of the least brightness and structure of normal video
DARKNESS = 0.1  # of a picture without any signal in it
BLINDED = 0.3  # share of pixels at full brightness, and so many times the most of normal video:
MORE_BLINDED = 3.0
COVERED = 0.3  # of the least structure of normal video
BLURRED = 0.55  # of the least sharpness
COLOURLESS = 0.25  # of the least colour
COLOURFUL = 0.02  # least colour of normal video, for infrared light to be told
NOISIER = 3.0  # times the most noise
LEAST_NOISE = 1.0 / 255
UNLIKE = 0.5  # of the least agreement with the views of normal video
SAME_VIEW = 0.6  # agreement from which a picture shows a view that is known
FOUND_AGAIN = 0.5  # of the places, that a shift must explain for the camera to have moved
MOST_VIEWS = 8
SIDE = 96  # pixels of the shorter side in which views are compared
PLACE = 8  # pixels, each way, of a place of a view
ALIKE = 0.5  # correlation from which a place is as in a view
FAINT = 4 / 255  # deviation from which a place has something to see in it
STEEP = 0.98  # of the pixels are less steep than edges
FULL = 0.97  # brightness
# Immerkaer (1996): edges and slopes cancel out.
FLAW = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
FARTHEST = 0.4  # of the shorter side, that a camera is looked for


class Figures(NamedTuple):
    """What is measured of a picture."""

    brightness: float  # mean, in [0, 1]
    structure: float  # deviation of the places' means
    sharpness: float  # steepness of its edges by its structure
    colour: float  # mean difference of the strongest and the weakest colour
    blown: float  # share of pixels at full brightness
    noise: float  # deviation


@dataclass(frozen=True)
class NormalView:
    """Limits of the figures of normal pictures, and the views that they showed."""

    least: Figures
    most: Figures
    least_agreement: float
    views: NDArray[np.uint8]  # (k, h', w')

    @classmethod
    def learn(cls, pictures: Iterable[Planes]) -> "NormalView":
        """Take it from pictures of normal video.

        Raises:
            ValueError: there is none.
        """
        figures, greys = [], []
        for picture in pictures:
            figures.append(measure(picture))
            greys.append(as_view(picture))
        if not figures:
            msg = "A normal view needs a picture."
            raise ValueError(msg)
        views = _views_of(greys)
        compared = Views(views)
        agreement = min(compared.agreement(grey) for grey in greys)
        columns = list(zip(*figures, strict=True))
        return cls(Figures(*map(min, columns)), Figures(*map(max, columns)), agreement, views)

    def joined(self, other: "NormalView") -> "NormalView":
        """Take what is normal here or there; the views of this one come first, and no more than :data:`MOST_VIEWS`."""
        return NormalView(
            Figures(*map(min, zip(self.least, other.least, strict=True))),
            Figures(*map(max, zip(self.most, other.most, strict=True))),
            min(self.least_agreement, other.least_agreement),
            np.concatenate([self.views, other.views])[:MOST_VIEWS],
        )

    def to_plain(self) -> dict[str, Any]:
        """Return it as what JSON and checkpoints hold; views as PNG in base64."""
        views = [base64.b64encode(cv2.imencode(".png", view)[1].tobytes()).decode() for view in self.views]
        limits = {"least": self.least._asdict(), "most": self.most._asdict(), "least_agreement": self.least_agreement}
        return limits | {"views": views}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "NormalView":
        """Read what :meth:`to_plain` returned."""
        encoded = [np.frombuffer(base64.b64decode(view), np.uint8) for view in plain["views"]]
        views = np.stack([np.asarray(cv2.imdecode(view, cv2.IMREAD_GRAYSCALE), np.uint8) for view in encoded])
        return cls(Figures(**plain["least"]), Figures(**plain["most"]), plain["least_agreement"], views)


class Views:
    """Compares pictures with views, place by place, whatever the light."""

    def __init__(self, views: NDArray[np.uint8]) -> None:
        self._views = [view.astype(np.float32) / 255 for view in views]

    def agreement(self, grey: Grey) -> float:
        """Return the share of places with something to see in which a picture is as in a view, of the best view."""
        return max(_agreement(grey, view) for view in self._views)

    def is_moved(self, grey: Grey) -> bool:
        """Say whether a picture shows a view from another place."""
        return any(_found_elsewhere(grey, view) for view in self._views)


def measure(picture: Planes) -> Figures:
    """Measure a picture."""
    grey = _grey(picture)
    size = max(2, grey.shape[1] // PLACE), max(2, grey.shape[0] // PLACE)
    structure = float(cv2.resize(grey, size, interpolation=cv2.INTER_AREA).std())
    smooth = cv2.GaussianBlur(grey, (3, 3), 0.7)  # noise is no edge
    slopes = (cv2.Sobel(smooth, cv2.CV_32F, *way, scale=1 / 8) for way in ((1, 0), (0, 1)))
    steepness = cv2.magnitude(*slopes)[::2, ::2].ravel()
    steep = int(STEEP * steepness.size)
    edges = float(np.partition(steepness, steep)[steep:].mean())
    noise = float(np.median(np.abs(cv2.filter2D(grey, cv2.CV_32F, FLAW)[::2, ::2]))) / 0.6745 / 6
    colour = float((picture.max(axis=0) - picture.min(axis=0)).mean())
    blown = cv2.countNonZero((grey > FULL).astype(np.uint8)) / grey.size
    return Figures(float(grey.mean()), structure, edges / (structure + 1e-3), colour, blown, noise)


def as_view(picture: Planes) -> Grey:
    """Return a picture in grey and in the size of views."""
    grey = _grey(picture)
    shorter = min(grey.shape)
    if shorter <= SIDE:
        return grey
    size = round(grey.shape[1] * SIDE / shorter), round(grey.shape[0] * SIDE / shorter)
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)


def _grey(picture: Planes) -> Grey:
    red, green, blue = picture
    grey = cv2.addWeighted(cv2.addWeighted(red, 0.299, green, 0.587, 0), 1, blue, 0.114, 0)
    return grey.astype(np.float32, copy=False)


def _views_of(greys: list[Grey]) -> NDArray[np.uint8]:
    """Choose views so that each picture is like one of them, and take out of each who happened to pass."""
    leaders = [np.median(greys, axis=0).astype(np.float32)]
    for grey in greys:
        if len(leaders) < MOST_VIEWS and max(_agreement(grey, leader) for leader in leaders) < SAME_VIEW:
            leaders.append(grey)
    groups: list[list[Grey]] = [[] for _ in leaders]
    for grey in greys:
        groups[int(np.argmax([_agreement(grey, leader) for leader in leaders]))].append(grey)
    medians = [np.median(group, axis=0) for group in groups if group]
    return np.round(255 * np.stack(medians)).clip(0, 255).astype(np.uint8)


def _agreement(grey: Grey, view: Grey) -> float:
    covariance, own, others = _moments(grey, view)
    seen = others > FAINT**2
    if not seen.any():
        return 1.0
    correlation = covariance / np.sqrt(np.maximum(own, 1e-8) * np.maximum(others, 1e-8))
    return float((correlation[seen] > ALIKE).mean())


def _moments(one: Grey, two: Grey) -> tuple[Grey, Grey, Grey]:
    """Return covariance and variances of two pictures around each place."""

    def mean(values: Grey) -> Grey:
        smooth = cv2.boxFilter(values, cv2.CV_32F, (PLACE, PLACE))[PLACE // 2 :: PLACE // 2, PLACE // 2 :: PLACE // 2]
        return smooth.astype(np.float32, copy=False)

    mean_one, mean_two = mean(one), mean(two)
    return (
        mean(one * two) - mean_one * mean_two,
        mean(one * one) - mean_one * mean_one,
        mean(two * two) - mean_two * mean_two,
    )


def _found_elsewhere(grey: Grey, view: Grey) -> bool:
    """Whether the middle of a view is somewhere else in a picture, or the middle of the picture in the view."""
    height, width = view.shape
    top, left = round(height * FARTHEST / 2), round(width * FARTHEST / 2)
    for part, whole in ((view, grey), (grey, view)):
        middle = part[top : height - top, left : width - left]
        if float(middle.std()) < FAINT or float(whole.std()) < FAINT:
            continue
        found = cv2.matchTemplate(whole, middle, cv2.TM_CCOEFF_NORMED)
        _, best, _, (x, y) = cv2.minMaxLoc(found)
        if best > ALIKE and max(abs(x - left), abs(y - top)) > 1:
            there = np.ascontiguousarray(whole[y : y + middle.shape[0], x : x + middle.shape[1]])
            if _agreement(there, np.ascontiguousarray(middle)) > FOUND_AGAIN:
                return True
    return False


class PictureCheck:
    """Says of single pictures what is wrong with them.

    Args:
        normal: how they should be.
    """

    def __init__(self, normal: NormalView) -> None:
        self._normal, self._views = normal, Views(normal.views)

    def __call__(self, picture: Planes) -> Trouble | None:
        """Say what is wrong with a picture, if anything is: the first that holds."""
        return next(self._wrong(picture), None)

    def _wrong(self, picture: Planes) -> Iterator[Trouble]:
        figures, least, most = measure(picture), self._normal.least, self._normal.most
        uniform = min(UNIFORM, COVERED * least.structure)  # unless normal video shows nothing either
        if figures.structure < uniform and max(cv2.meanStdDev(plane)[1].item() for plane in picture) < UNIFORM:
            yield "dark" if float(picture.max()) < DARKNESS else "blinded" if figures.blown > 0.5 else "no signal"
        if figures.brightness < DARK * least.brightness and figures.structure < DARK * least.structure:
            yield "dark"
        if figures.blown > max(BLINDED, MORE_BLINDED * most.blown):
            yield "blinded"
        if figures.structure < COVERED * least.structure:
            yield "covered"
        grey = as_view(picture)
        is_known = self._views.agreement(grey) >= UNLIKE * self._normal.least_agreement
        is_noisy = figures.noise > NOISIER * max(most.noise, LEAST_NOISE)
        if figures.sharpness < BLURRED * least.sharpness:
            yield "out of focus" if is_known else "covered"
        if not is_known and not is_noisy:  # noise hides any view
            yield "moved" if self._views.is_moved(grey) else "covered"
        if least.colour > COLOURFUL and figures.colour < COLOURLESS * least.colour:
            yield "infrared"
        if is_noisy:
            yield "noisy"
