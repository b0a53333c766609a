"""One score from several: how far motion, speed and looks are beyond what each usually is."""

import torch
from torch import Tensor, nn

LEAST_DEVIATION = 1e-2  # of a source's scores, as a share of their mean


class Fusion(nn.Module):
    """``S = log sum_i exp(z_i)``, ``z_i`` the score of source ``i`` in standard deviations above its mean.

    Mean and deviation are those of normal video that nothing was trained on. A source that is far above its usual
    scores decides; one that is not adds next to nothing, so a source that separates nothing cannot hide another.

    Args:
        sources: their names; ``motion`` is the score of Eq. (16).
    """

    mean: Tensor  # (len(sources),)
    deviation: Tensor  # (len(sources),)
    highest: Tensor  # (len(sources),): greatest z of normal video
    peak: Tensor  # (len(sources),): highest value of a usual map

    def __init__(self, sources: tuple[str, ...]) -> None:
        super().__init__()
        self.sources = sources
        for name in ("mean", "highest"):
            self.register_buffer(name, torch.zeros(len(sources)))
        for name in ("deviation", "peak"):
            self.register_buffer(name, torch.ones(len(sources)))

    def forward(self, scores: Tensor) -> Tensor:
        """Fuse ``(..., len(sources))`` scores."""
        return self.standardised(scores).logsumexp(dim=-1)

    def standardised(self, scores: Tensor) -> Tensor:
        """Return ``z``, of the shape of the scores."""
        return (scores - self.mean) / self.deviation

    def calibrate(self, scores: Tensor) -> None:
        """Take means and deviations from ``(n, len(sources))`` scores of normal frames."""
        self.mean.copy_(scores.mean(dim=0))
        # Below a hundredth of the mean it is rounding, which no two runtimes share.
        least = (LEAST_DEVIATION * self.mean.abs()).clamp_min(1e-6)
        self.deviation.copy_(torch.maximum(scores.std(dim=0, unbiased=False), least))
        self.highest.copy_(self.standardised(scores).amax(dim=0))

    def fuse_maps(self, maps: list[Tensor]) -> Tensor:
        """Add maps of the sources, ``(b, s, h, w)`` each, in units of what each usually is at its highest."""
        return sum((values / peak for values, peak in zip(maps, self.peak, strict=True)), torch.zeros_like(maps[0]))
