"""Light and shaking of the whole picture are taken out; what moves in it stays."""

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from anomalib_stmem.model.steady import steady_light, steady_place, view_of, without_lamps

SIZE = 96, 128


def scene(seed: int = 0) -> Tensor:
    """A picture with structure at every scale: ``(1, 1, h, w)`` in [-1, 1]."""
    rng = np.random.default_rng(seed)
    layers = [cv2.GaussianBlur(rng.normal(size=SIZE), (0, 0), sigma) * sigma for sigma in (1.5, 3, 6, 12)]
    picture = sum(layers)
    return torch.from_numpy(0.6 * picture / np.abs(picture).max()).float()[None, None]


def with_person(picture: Tensor, left: int) -> Tensor:
    """Somebody dark stands in it."""
    changed = picture.clone()
    changed[..., 30:70, left : left + 14] = -0.9
    return changed


def moved(picture: Tensor, right: float, down: float) -> Tensor:
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    image = picture[0, 0].numpy()
    way = {"flags": cv2.INTER_CUBIC, "borderMode": cv2.BORDER_REPLICATE}
    return torch.from_numpy(cv2.warpAffine(image, matrix, image.shape[::-1], **way))[None, None]


def rms(difference: Tensor) -> float:
    return float(difference[..., 8:-8, 8:-8].square().mean().sqrt())


@pytest.mark.parametrize(("gain", "offset"), [(1.25, 0.1), (0.8, -0.15), (1.03, 0.0), (1.0, 0.2)])
def test_gain_and_offset_are_taken_out_beside_somebody_who_walks(gain: float, offset: float) -> None:
    before, now = with_person(scene(), 40), with_person(scene(), 46)
    steadied = steady_light(gain * now + offset, before)
    assert rms(steadied - now) < 0.02
    assert rms(steadied - now) < 0.15 * max(rms((gain - 1) * now + offset), 0.1)


def test_each_channel_has_a_light_of_its_own() -> None:
    before = torch.cat([scene(seed) for seed in range(3)], dim=1)
    gains = torch.tensor([1.15, 1.0, 0.9]).view(1, 3, 1, 1)
    assert rms(steady_light(gains * before, before) - before) < 1e-3


def test_an_unchanged_light_is_left_as_it_is() -> None:
    before, now = with_person(scene(), 40), with_person(scene(), 46)
    assert rms(steady_light(now, before) - now) < 0.01


def lit(picture: Tensor, strength: float, x: float = 0.7) -> Tensor:
    """A lamp lights a part of a picture."""
    height, width = picture.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    lamp = strength * torch.exp(-((columns - x) ** 2 + (rows - 0.4) ** 2) / 0.09)
    return (picture + 1) * (1 + lamp) - 1


@pytest.mark.parametrize("strength", [0.5, -0.4])
def test_a_light_that_sweeps_through_a_part_of_the_picture_is_taken_out(strength: float) -> None:
    before, now = (lit(with_person(scene(), left), strength) for left in (20, 26))
    swept = lit(with_person(scene(), 26), strength, x=0.66)
    assert rms(without_lamps(swept, before) - now) < 0.6 * rms(swept - now)


@pytest.mark.parametrize("size", [(16, 24), (64, 128)])
def test_somebody_in_a_small_picture_is_no_lamp(size: tuple[int, int]) -> None:
    small = torch.nn.functional.interpolate(scene(), size, mode="area")
    now = small.clone()
    now[..., size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 3] = -0.9
    change = (steady_light(now, small) - small).abs().mean()
    assert float(change) > 0.7 * float((now - small).abs().mean())


@pytest.mark.parametrize("shift", [(0.6, 0.4), (1.0, -0.7), (-2.0, 1.5), (4.5, 3.0)])
def test_shaking_is_taken_out_beside_somebody_who_walks(shift: tuple[float, float]) -> None:
    now = with_person(scene(), 46)
    shaken = moved(now, *shift)
    steadied = steady_place(shaken, view_of(scene()))
    assert rms(steadied - now) < 0.4 * rms(shaken - now)


def test_a_picture_in_its_place_is_not_touched() -> None:
    now = with_person(scene(), 46)
    assert torch.equal(steady_place(now, view_of(scene())), now)


def test_a_view_that_is_not_known_moves_nothing() -> None:
    now = moved(scene(), 2.0, 1.0)
    assert torch.equal(steady_place(now, torch.zeros_like(view_of(now))), now)


def test_a_picture_too_small_to_tell_is_not_touched() -> None:
    now = moved(scene(), 2.0, 1.0)[..., :48, :48]
    assert torch.equal(steady_place(now, view_of(scene()[..., :48, :48])), now)


def test_another_picture_altogether_moves_nothing() -> None:
    now = scene(1)
    assert torch.equal(steady_place(now, view_of(scene(2))), now)


def test_a_crowd_that_walks_one_way_is_no_shaking() -> None:
    """Half of the picture moves by a pixel; the ground does not."""
    before = scene()
    now = before.clone()
    now[..., 48:, :] = moved(before, 1.0, 0.0)[..., 48:, :]
    assert rms(steady_place(now, view_of(before)) - now) < 0.3 * rms(now - before)


def test_light_does_not_hide_a_shift() -> None:
    now = scene()
    shaken = 0.8 * moved(now, 2.0, 1.0) - 0.1
    assert rms(steady_place(shaken, view_of(now)) - (0.8 * now - 0.1)) < 0.25 * rms(shaken - (0.8 * now - 0.1))


def test_frames_of_a_batch_are_steadied_one_by_one() -> None:
    shaken = torch.cat([moved(scene(), 2.0, 1.0), scene(), moved(scene(), -1.0, 0.5)])
    together = steady_place(shaken, view_of(scene()))
    for one, frame in zip(together, shaken, strict=True):
        torch.testing.assert_close(one[None], steady_place(frame[None], view_of(scene())), atol=1e-5, rtol=1e-5)
