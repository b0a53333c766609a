"""One score from several: how far motion, speed and looks are beyond what each usually is."""

import torch
from torch import Tensor, nn

LEAST_DEVIATION = 1e-2  # of a source's scores, as a share of their mean
RARE = 0.999  # share of normal frames that are below the top of a source
TOP = 3.09  # of them, in standard deviations, if scores were normally distributed


class Fusion(nn.Module):
    """``S = log sum_i exp(z_i)``, ``z_i`` the score of source ``i`` in units above its mean.

    Mean and unit are those of normal video that nothing was trained on. The unit is the standard deviation, or what
    brings the top of normal scores to where it would be in a normal distribution: a source that is now and then far
    above its mean in normal video would otherwise set the threshold alone, and hide the others. A source that is far
    above its usual scores decides; one that is not adds next to nothing, so a source that separates nothing cannot hide
    another.

    Args:
        sources: their names; ``motion`` is the score of Eq. (16).
    """

    mean: Tensor  # (len(sources),)
    deviation: Tensor  # (len(sources),): the unit
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
        """Take means and units from ``(n, len(sources))`` scores of normal frames."""
        self.mean.copy_(scores.mean(dim=0))
        rare = scores.cpu().quantile(RARE, dim=0).to(scores.device)  # through float64, which not every device has
        top = (rare - self.mean) / TOP
        # Below a hundredth of the mean it is rounding, which no two runtimes share.
        least = (LEAST_DEVIATION * self.mean.abs()).clamp_min(1e-6)
        self.deviation.copy_(torch.stack([scores.std(dim=0, unbiased=False), top, least]).amax(dim=0))
        self.highest.copy_(self.standardised(scores).amax(dim=0))

    def fuse_maps(self, maps: list[Tensor]) -> Tensor:
        """Add maps of the sources, ``(b, s, h, w)`` each, in units of what each usually is at its highest."""
        return sum((values / peak for values, peak in zip(maps, self.peak, strict=True)), torch.zeros_like(maps[0]))
