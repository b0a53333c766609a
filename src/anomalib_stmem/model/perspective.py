"""How large what moves usually is, from the top of the picture to its bottom: far things are small and slow in pixels.

Learned from normal video. Maps are divided by it, so that a figure counts the same wherever it is.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

CELLS_DOWN = 32  # of the grid on which a profile is learned
LEAST_SHARE = 0.001  # of all that moves; rows with less of it say nothing
STILL = (2 / 255) ** 2  # squared difference below which a cell stands still, however quiet the camera
NOISE = 6.0  # a cell moves where its squared difference is so many times that of the quiet quarter of a frame


class Perspective(nn.Module):
    """The usual value of a map where something moves, as ``exp(slope * (row - centre))`` with rows from 0 to 1.

    Its mean, by how much moves where, is one, so a scene without perspective leaves a map as it is.

    Args:
        names: of the maps that it knows.
    """

    slope: Tensor  # (len(names),); 0 before anything is learned
    centre: Tensor  # (len(names),)

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names
        self.register_buffer("slope", torch.zeros(len(names)))
        self.register_buffer("centre", torch.zeros(len(names)))

    def profile(self, name: str, height: int) -> Tensor:
        """Return the usual value of each of ``height`` rows, ``(height, 1)``; a map is divided by it."""
        place = self.names.index(name)
        rows = (torch.arange(height, device=self.slope.device) + 0.5) / height
        return (self.slope[place] * (rows - self.centre[place])).exp()[:, None]

    def learn(self, seen: "MovingRows") -> None:
        """Fit a line through the logarithms of the rows' means, each row weighing as much as moves in it.

        A map that was not seen, or of which fewer than two rows have enough that moves to tell, stays as it is.
        """
        rows = (torch.arange(CELLS_DOWN) + 0.5) / CELLS_DOWN
        for place, name in enumerate(self.names):
            if name not in seen.totals:
                continue
            mean = seen.totals[name] / seen.moving.clamp_min(1)
            known = (seen.moving > LEAST_SHARE * seen.moving.sum()) & (mean > 0)
            if int(known.sum()) < 2:
                continue
            weight = torch.where(known, seen.moving, 0) / seen.moving[known].sum()
            level = mean.clamp_min(1e-12).log()
            centre, middle = (weight * rows).sum(), (weight * level).sum()
            spread = (weight * (rows - centre).square()).sum()
            self.slope[place] = (weight * (rows - centre) * (level - middle)).sum() / spread
            self.centre[place] = centre


class MovingRows:
    """What moved in normal video, row by row of a grid: how many cells, and the sum of each map in them."""

    def __init__(self) -> None:
        self.moving = torch.zeros(CELLS_DOWN, dtype=torch.float64)
        self.totals: dict[str, Tensor] = {}

    def add(self, maps: dict[str, Tensor], motion: Tensor) -> None:
        """Add frames of one moment: ``(n, h, w)`` maps by name, and the squared difference to the frame before."""
        moves = (cells(motion) > still_below(motion)).double()
        self.moving += moves.sum(dim=(0, 2)).cpu()
        for name, values in maps.items():
            total = (cells(values) * moves).sum(dim=(0, 2)).cpu()
            self.totals[name] = self.totals.get(name, torch.zeros_like(self.moving)) + total


def cells(maps: Tensor, down: int = CELLS_DOWN) -> Tensor:
    """Average ``(n, h, w)`` maps over the square cells of a grid: ``(n, down, columns)``."""
    height, width = maps.shape[-2:]
    return F.adaptive_avg_pool2d(maps[:, None], (down, max(1, round(down * width / height))))[:, 0]


def still_below(motion: Tensor) -> float:
    """Say up to which squared difference a cell of ``(n, h, w)`` frames stands still: :data:`NOISE` times the noise."""
    quiet = cells(motion).flatten(1).quantile(0.25, dim=1).median()
    return max(STILL, NOISE * float(quiet))
