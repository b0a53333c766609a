"""A drawn walkway: normal people keep to their lane and its direction; in the test part some do not.

Upper lane: everyone walks to the right. Lower lane: to the left. Figures differ in size, clothes, speed and gait.
Abnormal figures wear the same clothes and use the same lanes; two kinds of the four (``against``, ``cycle``) move at
walking speed, so counting changed pixels does not find them. Everything follows from the seed, masks are exact.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = 128  # pixels, height and width
FRAMES_PER_SECOND = 10
LANES = {"upper": (60.0, 1), "lower": (96.0, -1)}  # baseline of the feet in pixels, direction of the flow
CLOTHES = ((40, 60, 150), (150, 60, 45), (45, 110, 60), (70, 70, 75), (160, 130, 60), (110, 60, 120))  # RGB

Kind = Literal["walk", "cycle", "run", "against", "throw"]
ANOMALIES: tuple[Kind, ...] = ("cycle", "run", "against", "throw")

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Figure:
    """One person on the walkway."""

    kind: Kind
    lane: str
    start: float  # frame at which the person enters
    speed: float  # pixels per frame
    height: float  # pixels
    clothes: tuple[int, int, int]
    phase: float  # of the gait, radians
    sway: float  # offset of the baseline, pixels

    @property
    def direction(self) -> int:
        """+1 to the right, -1 to the left."""
        flow = LANES[self.lane][1]
        return -flow if self.kind == "against" else flow

    def feet(self, frame: float) -> tuple[float, float]:
        """Where the person stands at a frame, in pixels."""
        walked = (frame - self.start) * self.speed - self.height
        return (walked if self.direction > 0 else SIZE - walked), LANES[self.lane][0] + self.sway


@dataclass(frozen=True)
class DrawnFrame:
    """One frame of a drawn video."""

    image: Image  # (h, w, 3) RGB
    mask: Image  # (h, w), 255 where an abnormal figure is visible


def draw_video(seed: int, num_frames: int, anomaly: Kind | None = None) -> Iterator[DrawnFrame]:
    """Draw one video, normal throughout unless an anomaly is named.

    Args:
        seed: of everything random in this video.
        num_frames: length in frames.
        anomaly: kind of the one abnormal event, which passes the middle of the view about half-way through the video.
    """
    rng = np.random.default_rng(seed)
    figures = _normal_figures(rng, num_frames)
    if anomaly is not None:
        figures.append(_abnormal_figure(rng, anomaly, passing=num_frames * rng.uniform(0.35, 0.65)))
    figures.sort(key=lambda figure: figure.feet(0)[1])  # nearer figures are drawn over farther ones
    background = _background()
    for frame in range(num_frames):
        image, mask = background.copy(), np.zeros((SIZE, SIZE), np.uint8)
        for figure in figures:
            _draw_figure(image, mask, figure, frame)
        noise = rng.normal(0.0, 1.5, image.shape)
        yield DrawnFrame(np.clip(image + noise, 0, 255).astype(np.uint8), mask)


def write_scene(
    root: Path,
    num_training: int = 12,
    num_testing: int = 8,
    num_frames: int = 100,
    seed: int = 0,
    as_videos: bool = False,
) -> None:
    """Write the scene to disk in the ``training|testing/frames/NN`` layout, with masks and a label file.

    ``root/training/frames/NN/NNN.jpg`` (or ``NN.avi``, motion JPEG), ``root/testing/frames/...``,
    ``root/testing/masks/NN/NNN.png`` (0 or 255) and ``root/testing/frame_labels.npy`` (uint8, videos in order).

    Args:
        root: folder to write into; made if missing.
        num_training: normal videos.
        num_testing: videos with one abnormal event each, the kinds in turn.
        num_frames: frames per video.
        seed: of the whole scene.
        as_videos: write video files instead of one folder of images per video.
    """
    labels: list[int] = []
    for index in range(num_training):
        images = (frame.image for frame in draw_video(seed * 10_000 + index, num_frames))
        _write_images(root / "training" / "frames" / f"{index + 1:02d}", images, as_videos)
    for index in range(num_testing):
        kind = ANOMALIES[index % len(ANOMALIES)]
        frames = list(draw_video(seed * 10_000 + 5_000 + index, num_frames, kind))
        name = f"{index + 1:02d}"
        _write_images(root / "testing" / "frames" / name, (frame.image for frame in frames), as_videos)
        masks = root / "testing" / "masks" / name
        masks.mkdir(parents=True, exist_ok=True)
        for number, frame in enumerate(frames):
            cv2.imwrite(str(masks / f"{number:03d}.png"), frame.mask)
            labels.append(int(frame.mask.any()))
    if num_testing:
        np.save(root / "testing" / "frame_labels.npy", np.array(labels, np.uint8))


def _write_images(path: Path, images: Iterator[Image], as_videos: bool) -> None:
    if as_videos:
        path.parent.mkdir(parents=True, exist_ok=True)
        codec = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(path.with_suffix(".avi")), codec, FRAMES_PER_SECOND, (SIZE, SIZE))
        for image in images:
            writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        writer.release()
        return
    path.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(path / f"{number:03d}.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])


def _normal_figures(rng: np.random.Generator, num_frames: int) -> list[Figure]:
    figures = []
    for lane in LANES:
        start = rng.uniform(-60, 0)
        while start < num_frames:
            figures.append(_figure(rng, "walk", lane, start))
            start += rng.uniform(30, 75)
    return figures


def _abnormal_figure(rng: np.random.Generator, kind: Kind, passing: float) -> Figure:
    figure = _figure(rng, kind, str(rng.choice(list(LANES))), 0.0)
    return replace(figure, start=passing - (SIZE / 2 + figure.height) / figure.speed)


def _figure(rng: np.random.Generator, kind: Kind, lane: str, start: float) -> Figure:
    height = rng.uniform(26, 30) * (1.0 if lane == "upper" else 1.2)
    pace = 2.6 if kind == "run" else 1.0
    return Figure(
        kind=kind,
        lane=lane,
        start=start,
        speed=rng.uniform(2.2, 2.8) * pace,
        height=height,
        clothes=CLOTHES[rng.integers(len(CLOTHES))],
        phase=rng.uniform(0, 2 * math.pi),
        sway=rng.uniform(-3, 3),
    )


def _background() -> Image:
    image = np.empty((SIZE, SIZE, 3), np.uint8)
    image[:] = (96, 132, 84)  # grass
    image[:26] = (150, 170, 190)  # wall
    image[44:104] = (176, 170, 160)  # path
    image[72:76:1, ::1] = (200, 196, 188)  # line between the lanes
    for x in range(4, SIZE, 20):
        cv2.rectangle(image, (x, 6), (x + 9, 20), (110, 120, 140), -1)
    for x in range(8, SIZE, 16):
        cv2.circle(image, (x, 114), 3, (70, 110, 60), -1, cv2.LINE_AA)
    return image


def _draw_figure(image: Image, mask: Image, figure: Figure, frame: int) -> None:
    """Draw one person into the image, and into the mask: 255 if abnormal, else 0 over what the person hides."""
    x, y = figure.feet(frame)
    if not -2 * figure.height < x < SIZE + 2 * figure.height:
        return
    abnormal = figure.kind not in {"walk", "throw"}
    for canvas, paint in ((image, None), (mask, (255 if abnormal else 0,))):
        _draw_body(canvas, figure, frame, x, y, paint)
    if figure.kind == "throw":
        flight = (frame - figure.start) * figure.speed / SIZE - 0.45  # thrown once the person is well in view
        if 0 <= flight <= 0.35:
            side, rise = figure.direction * flight * 200, 40 * math.sin(math.pi * flight / 0.35)
            ball = _point(x + side, y - 0.6 * figure.height - rise)
            for canvas, colour in ((image, (200, 60, 40)), (mask, (255,))):
                cv2.circle(canvas, ball, 6 * 16, colour, -1, cv2.LINE_AA if canvas is image else cv2.LINE_8, 4)


def _draw_body(canvas: Image, figure: Figure, frame: int, x: float, y: float, paint: tuple[int, ...] | None) -> None:
    """Head, trunk, two arms and two legs; a cyclist has wheels under him and rides instead of stepping."""
    tall, ahead = figure.height, figure.direction
    line_type = cv2.LINE_AA if paint is None else cv2.LINE_8
    clothes, skin, dark = (paint or figure.clothes), (paint or (205, 160, 130)), (paint or (45, 45, 55))
    thick = max(2, round(tall / 9))
    swing = math.sin(figure.phase + (frame - figure.start) * figure.speed * 2 * math.pi / (0.9 * tall))
    lift = 0.0
    if figure.kind == "cycle":
        lift, swing, wheel = 0.18 * tall, 0.45 * swing, 0.26 * tall
        for side in (-1, 1):
            centre = _point(x + side * 0.42 * tall, y - wheel)
            cv2.circle(canvas, centre, round(wheel * 16), dark, max(2, thick - 1), line_type, 4)
        cv2.line(canvas, _point(x - 0.42 * tall, y - wheel), _point(x + 0.42 * tall, y - wheel), dark, 2, line_type, 4)
    hip, neck = (x, y - 0.46 * tall - lift), (x + ahead * 0.03 * tall, y - 0.80 * tall - lift)
    for side in (-1, 1):
        foot = (x + side * swing * 0.24 * tall, y - lift)
        cv2.line(canvas, _point(*hip), _point(*foot), dark, thick, line_type, 4)
        hand = (neck[0] - side * swing * 0.2 * tall + ahead * 0.04 * tall, y - 0.50 * tall - lift)
        cv2.line(canvas, _point(*neck), _point(*hand), clothes, max(2, thick - 1), line_type, 4)
    cv2.line(canvas, _point(*hip), _point(*neck), clothes, thick + 3, line_type, 4)
    head = (neck[0] + ahead * 0.03 * tall, y - 0.90 * tall - lift)
    cv2.circle(canvas, _point(*head), round(0.10 * tall * 16), skin, -1, line_type, 4)


def _point(x: float, y: float) -> tuple[int, int]:
    """Sub-pixel point for cv2 drawing with ``shift=4``."""
    return round(x * 16), round(y * 16)
