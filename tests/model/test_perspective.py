import math

import pytest
import torch
from torch import Tensor

from anomalib_stmem.model.perspective import CELLS_DOWN, MovingRows, Perspective

HEIGHT = 64  # two pixels per cell
MOVING = 0.01


def scene(level: float, slope: float, frames: int = 3) -> tuple[Tensor, Tensor]:
    """Something moves in every second column; its error is ``level * exp(slope * row)``."""
    rows = (torch.arange(HEIGHT) // 2 + 0.5) / CELLS_DOWN
    motion = torch.zeros(frames, HEIGHT, HEIGHT)
    motion[..., 0::8] = motion[..., 1::8] = MOVING
    error = (level * (slope * rows).exp())[:, None].expand(frames, HEIGHT, HEIGHT).clone()
    return torch.where(motion > 0, error, 77.0), motion  # what stands still says nothing


def learned(*seen: tuple[Tensor, Tensor]) -> Perspective:
    rows = MovingRows()
    for error, motion in seen:
        rows.add({"sum": error}, motion)
    perspective = Perspective(("spatial", "sum"))
    perspective.learn(rows)
    return perspective


def test_near_counts_as_much_as_far() -> None:
    error, motion = scene(level=0.3, slope=2.0)
    divided = error / learned((error, motion)).profile("sum", HEIGHT)
    moving = divided[motion > 0]
    assert float(moving.max() / moving.min()) == pytest.approx(1, abs=0.05)  # two rows of pixels share a cell
    assert float(moving.log().mean()) == pytest.approx(math.log(0.3) + 1.0, abs=0.01)  # the level stays


def test_scene_without_perspective_learns_a_flat_profile() -> None:
    torch.manual_seed(0)
    error, motion = scene(level=0.3, slope=0.0)
    noisy = error * torch.rand_like(error).add(0.5)
    profile = learned((noisy, motion)).profile("sum", HEIGHT)
    torch.testing.assert_close(profile, torch.ones(HEIGHT, 1), atol=0.05, rtol=0)


def test_line_is_the_literal_weighted_fit() -> None:
    torch.manual_seed(0)
    rows = MovingRows()
    rows.moving = torch.randint(50, 100, (CELLS_DOWN,)).double()
    rows.totals = {"sum": torch.rand(CELLS_DOWN).double() * rows.moving}
    perspective = Perspective(("sum",))
    perspective.learn(rows)
    weights, levels = (
        rows.moving.tolist(),
        [math.log(t / n) for t, n in zip(rows.totals["sum"], rows.moving, strict=True)],
    )
    places = [(row + 0.5) / CELLS_DOWN for row in range(CELLS_DOWN)]
    total = sum(weights)
    centre = sum(w * x for w, x in zip(weights, places, strict=True)) / total
    middle = sum(w * y for w, y in zip(weights, levels, strict=True)) / total
    above = sum(w * (x - centre) * (y - middle) for w, x, y in zip(weights, places, levels, strict=True))
    below = sum(w * (x - centre) ** 2 for w, x in zip(weights, places, strict=True))
    assert float(perspective.slope[0]) == pytest.approx(above / below, rel=1e-4)
    assert float(perspective.centre[0]) == pytest.approx(centre, rel=1e-4)


def test_rows_where_hardly_anything_moves_say_nothing() -> None:
    error, motion = scene(level=0.3, slope=2.0, frames=40)
    motion[:, :8] = 0
    strange = torch.zeros(1, HEIGHT, HEIGHT)
    strange[:, :2, :2] = MOVING  # one cell, at the top, with a huge error
    with_it = learned((error, motion), (1e6 * strange, strange))
    assert float(with_it.slope[1]) == pytest.approx(float(learned((error, motion)).slope[1]), rel=1e-3)


@pytest.mark.parametrize("frames", [torch.zeros(2, HEIGHT, HEIGHT), torch.full((2, HEIGHT, HEIGHT), 1e-6)])
def test_nothing_is_learned_where_nothing_moves(frames: Tensor) -> None:
    torch.testing.assert_close(learned((frames, frames)).profile("sum", HEIGHT), torch.ones(HEIGHT, 1))


def test_map_of_another_name_stays() -> None:
    torch.testing.assert_close(learned(scene(0.3, 2.0)).profile("spatial", HEIGHT), torch.ones(HEIGHT, 1))


def test_noise_does_not_count_as_motion() -> None:
    torch.manual_seed(0)
    error, motion = scene(level=0.3, slope=2.0)
    noisy = motion + 5e-4 * torch.rand_like(motion)
    assert float(learned((error, noisy)).slope[1]) == pytest.approx(2.0, abs=0.1)
