"""Averages of maps over the square around each place, as two products of matrices."""

import torch
from torch import Tensor


def average_around(maps: Tensor, width: int) -> Tensor:
    """Average ``(..., h, w)`` maps over the ``width`` by ``width`` square around each place, zeros beyond the border.

    The numbers of ``avg_pool2d(maps, width, stride=1, padding=width // 2)``. A CPU multiplies matrices with all its
    units: to measure a frame takes half of the time (docs/results.md).

    Args:
        maps: which.
        width: odd.
    """
    rows, columns = (_band(side, width, maps) for side in maps.shape[-2:])
    with torch.autocast(maps.device.type, enabled=False):
        return rows @ maps @ columns


def _band(side: int, width: int, like: Tensor) -> Tensor:
    """Return the symmetric ``(side, side)`` matrix that averages over ``width`` neighbours."""
    places = torch.arange(side, device=like.device)
    return ((places[:, None] - places).abs() <= width // 2).to(like.dtype) / width
