"""How much of a picture changed at once: a light that is switched changes most of it, and nobody moved.

What is left after :func:`~.steady.steady_light`, which knows one gain and offset for the whole picture; a lamp lights
the wall beside it more than the window.
"""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

CELL = 8  # pixels, each way, whose change is averaged
CHANGED = 0.04  # of frames in [-1, 1], five grey levels: what a cell must have changed by
MOST = 0.35  # share of cells; where more have changed, movement cannot be judged (docs/results.md, "Hours of a room")


def changed_share(differences: Tensor, region: Tensor) -> Tensor:
    """Return the share of the cells of each ``(..., c, h, w)`` difference that changed: ``(...)`` in [0, 1].

    Args:
        differences: which.
        region: ``(h, w)`` or ``(1, 1)``, 1 where the picture counts and 0 elsewhere.
    """
    size = (differences.abs() * region).flatten(0, -4).mean(dim=1, keepdim=True)
    cell = max(1, min(CELL, size.shape[-2] // CELL, size.shape[-1] // CELL))
    changed = (F.avg_pool2d(size, cell) > CHANGED).to(differences.dtype)
    return changed.mean(dim=(1, 2, 3)).reshape(differences.shape[:-3]) / region.mean()
