"""What does not count: parts of the picture, and what a person has called normal at its place."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

SOURCES = ("motion", "speed")  # whose maps may be accepted at a place; looks have a memory
COARSE = 4  # pixels, each way, of a place


class Exemptions(nn.Module):
    """Which pixels count, and how high each map may go at each place; at first all of them, and nothing."""

    region: Tensor  # (h, w), 1 where the picture counts and 0 elsewhere; (1, 1) where all of it does
    accepted: Tensor  # (len(SOURCES), h / COARSE, w / COARSE), of maps in perspective; (len(SOURCES), 1, 1) for nothing

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("region", torch.ones(1, 1))
        self.register_buffer("accepted", torch.zeros(len(SOURCES), 1, 1))

    def narrow(self, region: NDArray[np.bool_]) -> None:
        """Leave more of the picture out: ``(h, w)`` is true where it still counts.

        Raises:
            ValueError: nothing is left.
        """
        if region.all():
            return
        self.region = self.region * torch.from_numpy(region).to(self.region)
        if not bool(self.region.any()):
            msg = "Nothing of the picture is left to be judged: what counts now does not count for the checkpoint."
            raise ValueError(msg)

    def accept(self, allowances: Sequence[Tensor]) -> None:
        """Accept the highest of several allowances, as :func:`allowance_of` makes them, and nothing else."""
        nothing = self.accepted.new_zeros(len(SOURCES), 1, 1)
        self.accepted = torch.stack([*allowances]).amax(dim=0).to(nothing) if allowances else nothing

    def counted(self, maps: Tensor) -> Tensor:
        """Bring ``(..., h', w')`` maps, of any size, to nothing where the picture does not count."""
        if self.region.shape == (1, 1):
            return maps
        return maps * F.adaptive_avg_pool2d(self.region[None], (maps.shape[-2], maps.shape[-1]))[0]

    def beyond(self, source: str, maps: Tensor) -> Tensor:
        """Return how far ``(..., h', w')`` maps of a source are above what is accepted at each place."""
        if self.accepted.shape[-2:] == (1, 1):
            return maps
        accepted = self.accepted[None, SOURCES.index(source), None]
        return (maps - F.interpolate(accepted, (maps.shape[-2], maps.shape[-1]))[0, 0]).clamp_min(0)

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: Any) -> None:  # noqa: ANN401
        """Take over what a checkpoint exempts; one of before exempts nothing."""
        for name in ("region", "accepted"):
            given = state.setdefault(f"{prefix}{name}", Exemptions().get_buffer(name))
            setattr(self, name, torch.empty_like(given))
        super()._load_from_state_dict(state, prefix, *rest)


def allowance_of(maps: dict[str, Tensor], shown: Tensor) -> Tensor:
    """Return how high the maps of an event went at each place where it was shown.

    Args:
        maps: ``(n, h', w')`` of each of :data:`SOURCES` that there is, in perspective and averaged over patches.
        shown: ``(n, h, w)``, true where the anomaly map was above its threshold.

    Returns:
        ``(len(SOURCES), h / COARSE, w / COARSE)``.
    """
    size = shown.shape[-2] // COARSE, shown.shape[-1] // COARSE
    where = F.adaptive_max_pool2d(shown.any(dim=0, keepdim=True).float(), size)
    nothing = torch.zeros_like(where)
    highest = [
        F.adaptive_max_pool2d(maps[name].amax(dim=0, keepdim=True), size) * where if name in maps else nothing
        for name in SOURCES
    ]
    return torch.cat(highest)
