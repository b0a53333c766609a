"""Take out of a frame what happened to the whole picture: light since the frame before, and a small shift.

A lamp that flickers, an exposure that steps and a pole in the wind change every pixel, and nothing moves. Least squares
over the picture find gain, offset and shift; whatever differs beside them, as people do, is given less and less weight.
Made of averages and products, so that it runs in every runtime.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

CELL = 8  # pixels that are averaged before light is compared: shaking and noise hardly count then
ACROSS = 8  # such cells that even a small picture is cut into, each way
ROUNDS = 3  # of weighing anew
LAMP_ROUNDS = 5
FAINT = 0.004  # of brightness: a grey level
LIT = 5  # cells, each way, that a lamp lights alike; somebody who passes is smaller
BRIGHTER = 1.6  # that a lamp makes a part of the picture at most, from one frame to the next
SMALLEST = 64  # pixels on a side, of a picture in which a shift can be told
FARTHEST = 6  # pixels that a picture is moved back at most
FINE = 2  # pixels that are averaged before a shift is looked for
STEPS = (4, 2, 1, 1)  # averaged once more, from step to step
BLOCK = 8  # of these averages, each way, make a place that agrees with a shift, or not
AGREEING = 0.6, 0.7  # share of places from which a shift is believed in, and believed in wholly
SURE_SHIFT = 0.2  # pixels below which nothing is moved: moving blurs
LEAST = 1e-6


def steady_light(frames: Tensor, before: Tensor) -> Tensor:
    """Return frames in the light of the frames before.

    Without gain and offset of each channel, and without what a lamp, a headlight or a cloud does to a part of the
    picture: a gain that is smooth from place to place.

    Args:
        frames: ``(n, c, h, w)`` in [-1, 1].
        before: the frames before them.
    """
    return without_lamps(_in_light_of(frames, before), before)


def _in_light_of(frames: Tensor, before: Tensor) -> Tensor:
    """Take gain and offset of each channel out of the whole picture."""
    now, then = _in_cells(frames, before)
    weight = torch.ones_like(now)
    gain, offset = torch.ones_like(now[..., :1, :1]), torch.zeros_like(now[..., :1, :1])
    for _ in range(ROUNDS):
        total = _total(weight)
        mean_now, mean_then = _total(weight * now) / total, _total(weight * then) / total
        spread = _total(weight * (then - mean_then).square()) / total
        shared = _total(weight * (then - mean_then) * (now - mean_now)) / total
        gain = (shared + LEAST) / (spread + LEAST)
        offset = mean_now - gain * mean_then
        weight = _weights(now - gain * then - offset)
    return (frames - offset) / gain.clamp(0.5, 2.0)


def without_lamps(frames: Tensor, before: Tensor) -> Tensor:
    """Take a smooth gain out of the brightness, which is all channels together."""
    now, then = ((part.mean(dim=1, keepdim=True) + 1) / 2 for part in _in_cells(frames, before))
    gain = weight = torch.ones_like(now)
    for _ in range(LAMP_ROUNDS):
        gain = (_around(weight * then * now) + LEAST) / (_around(weight * then * then) + LEAST)
        rest = (now - gain * then).abs()
        weight = 1 / (1 + (rest / (_around(rest) + FAINT)).square()).square()
    smooth = F.interpolate(gain.clamp(1 / BRIGHTER, BRIGHTER), frames.shape[-2:], mode="bilinear")
    return (frames + 1) / smooth - 1


def _in_cells(frames: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    cell = max(1, min(CELL, frames.shape[-2] // ACROSS, frames.shape[-1] // ACROSS))
    return F.avg_pool2d(frames, cell), F.avg_pool2d(before, cell)


def _around(maps: Tensor) -> Tensor:
    """Average over the part of the picture around each place, a triangle each way; less at the border."""
    for _ in range(2):
        rows = F.avg_pool2d(maps, (LIT, 1), stride=1, padding=(LIT // 2, 0))
        maps = F.avg_pool2d(rows, (1, LIT), stride=1, padding=(0, LIT // 2))
    return maps


def view_of(frames: Tensor) -> Tensor:
    """Return what :func:`steady_place` compares of ``(n, c, h, w)`` frames: ``(n, 1, h / 2, w / 2)``."""
    return F.avg_pool2d(frames.mean(dim=1, keepdim=True), FINE)


def steady_place(frames: Tensor, view: Tensor) -> Tensor:
    """Return frames moved back by the shift of the whole picture, as far as it is sure.

    Args:
        frames: ``(n, c, h, w)`` in [-1, 1].
        view: ``(1, 1, h / 2, w / 2)``, the usual view of the camera, by :func:`view_of`; all zeros where it is not
            known, and nothing is moved; nor are pictures smaller than :data:`SMALLEST`.
    """
    if min(frames.shape[-2:]) < SMALLEST:
        return frames
    moved = now = view_of(frames)
    then = _in_light_of(view.expand_as(now), now)
    right = down = torch.zeros_like(now[..., :1, :1])
    for cell in STEPS:  # from coarse to fine; each looks at what is left
        more = _shift(*(F.avg_pool2d(part, cell) if cell > 1 else part for part in (moved, then)))
        right, down = (
            (so_far + cell * step).clamp(-FARTHEST / FINE, FARTHEST / FINE)
            for so_far, step in zip((right, down), more, strict=True)
        )
        moved = _moved(now, right, down, FARTHEST / FINE)
    length = FINE * (right.square() + down.square() + 1e-12).sqrt()
    sure = ((length - SURE_SHIFT / 2) / (SURE_SHIFT / 2)).clamp(0, 1)
    agree = _agreement(now, moved, then)
    sure = FINE * sure * ((agree - AGREEING[0]) / (AGREEING[1] - AGREEING[0])).clamp(0, 1)
    if not torch.compiler.is_compiling() and not bool(sure.any()):  # a graph cannot choose
        return frames
    return _moved(frames, right * sure, down * sure, FARTHEST)


def _agreement(now: Tensor, moved: Tensor, then: Tensor) -> Tensor:
    """Say in which share of the places with any structure the shift explains what changed: ``(n, 1, 1, 1)``.

    A crowd that walks one way is a shift, too, but not of the ground between people.
    """
    unmoved, left = (F.avg_pool2d((part - then).square(), BLOCK) for part in (now, moved))
    smooth = F.avg_pool2d(F.pad(then, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    structure = F.avg_pool2d((then - smooth).square(), BLOCK)
    counts = (structure > (_total(structure) / 2).clamp_min(LEAST)).to(now.dtype)
    return _total(counts * (left < unmoved).to(now.dtype)) / (_total(counts) + LEAST)


def _shift(now: Tensor, then: Tensor) -> tuple[Tensor, Tensor]:
    """Measure how far to the right and down, in pixels, a picture ``(n, 1, h, w)`` has moved: ``(n, 1, 1, 1)`` each."""
    middle = F.pad((now + then) / 2, (1, 1, 1, 1), mode="replicate")
    along = (middle[..., 1:-1, 2:] - middle[..., 1:-1, :-2]) / 2
    below = (middle[..., 2:, 1:-1] - middle[..., :-2, 1:-1]) / 2
    change = now - then
    slope = along.square() + below.square()
    rest = change
    right = down = torch.zeros_like(now[..., :1, :1])
    for _ in range(ROUNDS):
        # Where the picture is steep, what is half a pixel off is no mover.
        weight = 1 / (1 + rest.square() / (_total(rest.abs()).square() + slope / 4 + LEAST))
        xx, yy = _total(weight * along * along) + LEAST, _total(weight * below * below) + LEAST
        xy = _total(weight * along * below)
        xt, yt = _total(weight * along * change), _total(weight * below * change)
        determinant = xx * yy - xy * xy
        right, down = (xy * yt - yy * xt) / determinant, (xy * xt - xx * yt) / determinant
        rest = change + right * along + down * below
    return right, down


def _weights(rest: Tensor) -> Tensor:
    """Weigh what is left over: half where it is as usual, less where it is more."""
    usual = rest.abs().mean(dim=(-2, -1), keepdim=True) + LEAST
    return 1 / (1 + (rest / usual).square())


def _total(maps: Tensor) -> Tensor:
    return maps.mean(dim=(-2, -1), keepdim=True)


def _moved(frames: Tensor, right: Tensor, down: Tensor, most: float) -> Tensor:
    """Move pictures to the left and up; what comes in at the border repeats it."""
    reach = math.ceil(most) + 1
    return _moved_along(_moved_along(frames, right, 3, reach), down, 2, reach)


def _moved_along(frames: Tensor, shift: Tensor, axis: int, reach: int) -> Tensor:
    size = frames.shape[axis]
    border = (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach)
    padded = F.pad(frames, border, mode="replicate")
    weights = _cubic((shift - torch.arange(-reach, reach + 1, device=shift.device)).abs())  # (n, 1, 1, places)
    moved = torch.zeros_like(frames)
    for place in range(2 * reach + 1):
        moved = moved + weights[..., place : place + 1] * padded.narrow(axis, place, size)
    return moved


def _cubic(distance: Tensor) -> Tensor:
    """Weigh a pixel so far away by the cubic convolution of Keys (1981), which keeps edges sharp."""
    near = (1.5 * distance - 2.5) * distance.square() + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
