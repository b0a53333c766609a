"""Residual temporal shift module (RTSM): how one frame hears of the frames before it (Figs. 2-3, Eq. 1)."""

import torch
from torch import Tensor, nn

LEAK = 0.2  # slope of every Leaky ReLU (delta); the paper does not give it, its relative ASTNet uses 0.2


class ResidualTemporalShift(nn.Module):
    """``q'' = delta(q + w2 * delta(w1 * shift(q)))`` (Eq. 1): the shift sits inside the residual branch.

    The shift replaces the first channels of each frame by those of the frame before; never the other way, so the
    network stays causal (Fig. 2). Whoever calls says what the frame before was: the previous frame of a clip, or the
    state of a stream.

    Args:
        channels: ``c`` of the feature map.
        fraction: share of the ``c`` channels that moves, in [0, 1]; 0 moves nothing.
    """

    def __init__(self, channels: int, fraction: float) -> None:
        super().__init__()
        self.num_moved = round(channels * fraction)
        self.w1 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.w2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.delta = nn.LeakyReLU(LEAK, inplace=True)

    def moved(self, features: Tensor) -> Tensor:
        """Return what ``(n, c, h, w)`` frames leave to the frames after them: ``(n, num_moved, h, w)``."""
        return features[:, : self.num_moved]

    def forward(self, features: Tensor, before: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` frames, and what the frame before each has :meth:`moved`, to ``(n, c, h, w)``."""
        shifted = torch.cat([before.to(features.dtype), features[:, self.num_moved :]], dim=1)
        return self.delta(features + self.w2(self.delta(self.w1(shifted))))
