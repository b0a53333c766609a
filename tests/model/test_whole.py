"""A light that is switched is nobody's movement."""

import math

import pytest
import torch
from torch import Tensor

from anomalib_stmem.model.scoring import MEASUREMENTS, ScoreHead
from anomalib_stmem.model.whole import CHANGED, MOST, changed_share

WHOLE = torch.ones(1, 1)


def literal_share(difference: Tensor, cell: int) -> float:
    """Of one (c, h, w) difference, cell by cell."""
    _, height, width = difference.shape
    changed = [
        float(difference[:, top : top + cell, left : left + cell].abs().mean()) > CHANGED
        for top in range(0, height, cell)
        for left in range(0, width, cell)
    ]
    return sum(changed) / len(changed)


def test_share_is_that_of_the_cells_that_changed() -> None:
    differences = 0.08 * torch.randn(2, 3, 1, 64, 96) * torch.rand(2, 3, 1, 64, 1)
    expected = [[literal_share(one, 8) for one in clip] for clip in differences]
    assert 0 < expected[0][0] < 1
    torch.testing.assert_close(changed_share(differences, WHOLE), torch.tensor(expected))
    assert changed_share(differences[0], WHOLE).shape == (3,)


@pytest.mark.parametrize("size", [(16, 16), (8, 24)])
def test_small_pictures_have_cells_too(size: tuple[int, int]) -> None:
    differences = torch.zeros(1, 2, 3, *size)
    differences[:, 1] = 1
    assert changed_share(differences, WHOLE).tolist() == [[0, 1]]


def test_a_frame_that_changed_as_a_whole_is_as_usual_and_teaches_nothing() -> None:
    head = ScoreHead("frame", "sum", 1.0, speed=True)
    speed, changed = (MEASUREMENTS.index(name) for name in ("speed", "changed"))
    measurements = torch.rand(50, len(MEASUREMENTS)) * MOST
    head.calibrate(measurements)
    deviation = head.fusion.deviation.clone()
    lamp = measurements[:1].clone()
    lamp[:, speed] = 100
    assert float(head(lamp)) > 100
    lamp[:, changed] = MOST + 0.01
    assert float(head(lamp)) == pytest.approx(math.log(2))
    head.calibrate(torch.cat([measurements, lamp]))
    torch.testing.assert_close(head.fusion.deviation, deviation)
