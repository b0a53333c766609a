"""What real cameras do to a picture, on real video: light, weather, shaking, coding, noise, lost frames.

Alarms must neither be raised by them nor go blind (``nuisances.py``). A nuisance begins after
:data:`QUIET_SECONDS`, so that the network has seen the picture without it.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from anomalib_stmem.video.frame import Image

QUIET_SECONDS = 1.0
Floats = NDArray[np.float32]  # (h, w, 3), in [0, 255]


@dataclass(frozen=True)
class Shown:
    """A picture of a nuisance: which frame of the video it shows, and when."""

    image: Image
    number: int  # of the frame, from 0
    seconds: float


Nuisance = Callable[[list[Shown], float, np.random.Generator], list[Shown]]  # pictures, frames per second, chance


def each(change: Callable[[Floats, float, np.random.Generator], Floats]) -> Nuisance:
    """Make a nuisance of what happens to one picture so many seconds after it has begun."""

    def apply(shown: list[Shown], rate: float, rng: np.random.Generator) -> list[Shown]:
        del rate
        changed = []
        for one in shown:
            since = one.seconds - QUIET_SECONDS
            image = one.image if since < 0 else _bytes(change(one.image.astype(np.float32), since, rng))
            changed.append(replace(one, image=image))
        return changed

    return apply


def chained(*nuisances: Nuisance) -> Nuisance:
    """Let several happen together."""

    def apply(shown: list[Shown], rate: float, rng: np.random.Generator) -> list[Shown]:
        for nuisance in nuisances:
            shown = nuisance(shown, rate, rng)
        return shown

    return apply


# -- light ---------------------------------------------------------------------------------------------------------


def ramp(image: Floats, since: float, _: np.random.Generator) -> Floats:
    """Get darker by a third within ten seconds, and brighter again."""
    return image * (1 - 0.33 * (0.5 - 0.5 * np.cos(np.pi * since / 10)))


def exposure(image: Floats, since: float, _: np.random.Generator) -> Floats:
    """Step to another exposure every four seconds."""
    return image * (1.0, 1.25, 0.8)[int(since / 4) % 3]


def white_balance(image: Floats, since: float, _: np.random.Generator) -> Floats:
    """Step to another white balance every four seconds; of grey video, to another brightness."""
    gains = ((1.0, 1.0, 1.0), (1.15, 1.0, 0.9), (0.88, 1.0, 1.12))[int(since / 4) % 3]
    return image * np.array(gains, np.float32)


def flicker(image: Floats, since: float, _: np.random.Generator) -> Floats:
    """Flicker by 3 % with the mains: 100 Hz, seen at a rate that is no divisor of it."""
    return image * (1 + 0.03 * np.sin(2 * np.pi * 100.37 * since))


def headlights(image: Floats, since: float, _: np.random.Generator) -> Floats:
    """Let a soft spot of light sweep through the picture within four seconds, again and again."""
    height, width = image.shape[:2]
    x = (since / 4 % 1) * 1.6 * width - 0.3 * width
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    spot = np.exp(-(((columns - x) / (0.2 * width)) ** 2 + ((rows - 0.6 * height) / (0.25 * height)) ** 2))
    return image * (1 + 0.5 * spot[..., None])


def cloud(image: Floats, since: float, _: np.random.Generator) -> Floats:
    """Let the soft edge of a shadow cross the picture within ten seconds, and back."""
    width = image.shape[1]
    edge = (1.4 * (0.5 - 0.5 * np.cos(np.pi * since / 10)) - 0.2) * width
    shade = 1 / (1 + np.exp((np.arange(width, dtype=np.float32) - edge) / (0.08 * width)))
    return image * (1 - 0.35 * shade[None, :, None])


def infrared(image: Floats, since: float, _: np.random.Generator) -> Floats:
    """Switch to infrared light and back, every five seconds: grey, other contrasts, a bright middle."""
    if int(since / 5) % 2:
        return image
    height, width = image.shape[:2]
    grey = 255 * (cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) / 255) ** 0.7
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    lamp = 1.15 - 0.6 * np.hypot((columns / width - 0.5), (rows / height - 0.5))
    return np.repeat((grey * lamp)[..., None], 3, axis=2)


# -- the camera ----------------------------------------------------------------------------------------------------


def shake(pixels: float) -> Nuisance:
    """Shake by so many pixels, as a standard deviation each way."""

    def move(image: Floats, _: float, rng: np.random.Generator) -> Floats:
        return _moved(image, *rng.normal(0, pixels, 2))

    return each(move)


def knocked(image: Floats, since: float, _: np.random.Generator) -> Floats:
    """Get knocked by a twelfth of the picture after three seconds, and stay so."""
    return image if since < 3 else _moved(image, image.shape[1] / 12, image.shape[0] / 20)


def out_of_focus(image: Floats, since: float, _: np.random.Generator) -> Floats:
    """Lose focus within two seconds: blur of a hundredth of the picture's height."""
    sigma = 0.01 * image.shape[0] * min(1.0, since / 2)
    return cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0.1 else image


def noise(sigma: float) -> Nuisance:
    """Add noise of so many grey levels."""
    return each(lambda image, _, rng: image + rng.normal(0, sigma, image.shape).astype(np.float32))


def dusk(image: Floats, since: float, rng: np.random.Generator) -> Floats:
    """Fall to 35 % of the brightness within three seconds, with noise."""
    image = image * (1 - 0.65 * min(1.0, since / 3))
    return image + rng.normal(0, 2, image.shape).astype(np.float32)


def no_light(image: Floats, _: float, rng: np.random.Generator) -> Floats:
    """Lose the light: 6 % of the brightness, and noise."""
    return 0.06 * image + rng.normal(0, 1.5, image.shape).astype(np.float32)


def blinding(image: Floats, _: float, __: np.random.Generator) -> Floats:
    """Look into a strong light."""
    height, width = image.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    light = np.exp(-((columns / width - 0.5) ** 2 + (rows / height - 0.4) ** 2) / 0.15)
    return image + 400 * light[..., None]


def hand(image: Floats, _: float, rng: np.random.Generator) -> Floats:
    """Hold a hand before the lens."""
    height, width = image.shape[:2]
    soft = cv2.GaussianBlur(np.random.default_rng(0).random((height, width)).astype(np.float32), (0, 0), height / 6)
    soft = 90 + 12 * (soft - soft.mean()) / soft.std()
    grain = rng.normal(0, 1.0, (height, width, 1)).astype(np.float32)  # of the camera, which still sees something
    return soft[..., None] * np.array([0.7, 0.8, 1.0], np.float32) + grain


def one_colour(image: Floats, _: float, __: np.random.Generator) -> Floats:
    """Show a blue picture, as recorders do without a signal."""
    return np.broadcast_to(np.array([200, 40, 20], np.float32), image.shape).copy()


def colourless(image: Floats, _: float, __: np.random.Generator) -> Floats:
    """Stay in infrared light."""
    return infrared(image, 0.0, np.random.default_rng(0))


def hangs(shown: list[Shown], _: float, __: np.random.Generator) -> list[Shown]:
    """Show one picture for ever."""
    quiet = [one for one in shown if one.seconds < QUIET_SECONDS]
    return [*quiet, *(replace(quiet[-1], seconds=one.seconds) for one in shown[len(quiet) :])]


# -- what comes before the picture ---------------------------------------------------------------------------------


def rain(image: Floats, _: float, rng: np.random.Generator) -> Floats:
    """Streaks, other ones in each frame."""
    height, width = image.shape[:2]
    streaks = np.zeros((height, width), np.float32)
    for _drop in range(round(height * width / 900)):
        x, y, length = rng.integers(width), rng.integers(height), rng.integers(height // 30, height // 14)
        cv2.line(streaks, (int(x), int(y)), (int(x + length // 4), int(y + length)), 1.0, 1, cv2.LINE_AA)
    return image + 25 * streaks[..., None]


def snow(image: Floats, _: float, rng: np.random.Generator) -> Floats:
    """Soft flakes, other ones in each frame."""
    height, width = image.shape[:2]
    flakes = np.zeros((height, width), np.float32)
    for _flake in range(round(height * width / 1500)):
        place = int(rng.integers(width)), int(rng.integers(height))
        cv2.circle(flakes, place, int(rng.integers(1, max(2, height // 100) + 1)), 1.0, -1, cv2.LINE_AA)
    return image + (0.45 * (255 - image)) * flakes[..., None]


def insect(image: Floats, since: float, _: np.random.Generator) -> Floats:
    """Let something dark and blurred crawl over the lens."""
    height, width = image.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    x = width * (0.5 + 0.3 * np.sin(0.7 * since) + 0.04 * np.sin(5 * since))
    y = height * (0.5 + 0.3 * np.cos(0.5 * since) + 0.04 * np.cos(6 * since))
    body = np.exp(-(((columns - x) ** 2 + (rows - y) ** 2) / (0.07 * height) ** 2))
    return image * (1 - 0.7 * body[..., None])


def clock_and_logo(image: Floats, since: float, _: np.random.Generator) -> Floats:
    """Write a running clock and a logo into the picture."""
    picture = _bytes(image)
    scale = image.shape[0] / 480
    text = f"{int(since // 60):02d}:{since % 60:04.1f}"
    cv2.putText(
        picture, text, (4, round(24 * scale)), cv2.FONT_HERSHEY_SIMPLEX, 0.8 * scale, (255,) * 3, 1, cv2.LINE_AA
    )
    cv2.rectangle(
        picture, (4, image.shape[0] - round(30 * scale)), (round(60 * scale), image.shape[0] - 4), (255,) * 3, -1
    )
    return picture.astype(np.float32)


# -- on the way ----------------------------------------------------------------------------------------------------


def coded(crf: int) -> Nuisance:
    """Encode as H.264 of so coarse a quality, with a key frame every two seconds, which pump."""

    def apply(shown: list[Shown], rate: float, rng: np.random.Generator) -> list[Shown]:
        del rng
        images = _through_h264([one.image for one in shown], rate, crf)
        return [replace(one, image=image) for one, image in zip(shown, images, strict=True)]

    return apply


def lost(shown: list[Shown], _: float, __: np.random.Generator) -> list[Shown]:
    """Lose every seventh frame; the time stamps of the others tell."""
    return [one for place, one in enumerate(shown) if place % 7 != 6]


def repeated(shown: list[Shown], _: float, __: np.random.Generator) -> list[Shown]:
    """Show the picture before instead of every seventh."""
    return [
        replace(shown[place - 1], seconds=one.seconds) if place % 7 == 6 else one for place, one in enumerate(shown)
    ]


def late(shown: list[Shown], rate: float, rng: np.random.Generator) -> list[Shown]:
    """Come late, by up to a third of the time between two frames."""
    return [replace(one, seconds=one.seconds + float(rng.uniform(0, 0.33)) / rate) for one in shown]


NUISANCES: dict[str, Nuisance] = {
    "clean": chained(),
    "light ramp": each(ramp),
    "exposure steps": each(exposure),
    "white balance steps": each(white_balance),
    "mains flicker 3 %": each(flicker),
    "headlights": each(headlights),
    "cloud shadow": each(cloud),
    "infrared on and off": each(infrared),
    "shake 0.5 px": shake(0.5),
    "shake 1 px": shake(1.0),
    "shake 2 px": shake(2.0),
    "knocked": each(knocked),
    "H.264 crf 28": coded(28),
    "H.264 crf 35": coded(35),
    "rain": each(rain),
    "snow": each(snow),
    "insect on the lens": each(insect),
    "clock and logo": each(clock_and_logo),
    "lost frames": lost,
    "repeated frames": repeated,
    "late frames": late,
    "noise 3": noise(3.0),
    "noise 8": noise(8.0),
    "dusk": each(dusk),
    "out of focus": each(out_of_focus),
    "flicker and shake 0.5 px": chained(each(flicker), shake(0.5)),
    "noise 3 and H.264 crf 28": chained(noise(3.0), coded(28)),
}


# Troubles of the camera itself, and how each is told.
TROUBLES: dict[str, Nuisance] = {
    "dark": each(no_light),
    "covered": each(hand),
    "blinded": each(blinding),
    "frozen": hangs,
    "moved": each(knocked),
    "out of focus": each(out_of_focus),
    "infrared": each(colourless),
    "no signal": each(one_colour),
    "noisy": noise(30.0),
}


def shown_at(images: Sequence[Image], rate: float) -> list[Shown]:
    """Give ``(h, w, 3)`` BGR frames their numbers and times."""
    return [Shown(image, number, number / rate) for number, image in enumerate(images)]


def _bytes(image: Floats) -> Image:
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def _moved(image: Floats, right: float, down: float) -> Floats:
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    size = image.shape[1], image.shape[0]
    moved = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return moved.astype(np.float32, copy=False)


def _through_h264(images: list[Image], rate: float, crf: int) -> list[Image]:
    height, width = (side // 2 * 2 for side in images[0].shape[:2])
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        stream = out.add_stream("libx264", rate=Fraction(round(1000 * rate), 1000))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": str(crf), "g": str(round(2 * rate)), "preset": "veryfast"}
        for image in images:
            whole = np.ascontiguousarray(image[:height, :width])
            for packet in stream.encode(av.VideoFrame.from_ndarray(whole, format="bgr24")):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)
    file.seek(0)
    decoded = []
    with av.open(file) as source:
        for frame, image in zip(source.decode(video=0), images, strict=True):
            whole = image.copy()
            whole[:height, :width] = frame.to_ndarray(format="bgr24")
            decoded.append(whole)
    return decoded
