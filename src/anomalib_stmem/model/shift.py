"""Residual temporal shift module (RTSM): how one frame hears of the frames before it (Figs. 2-3, Eq. 1)."""

import torch
from einops import rearrange
from torch import Tensor, nn

LEAK = 0.2  # slope of every Leaky ReLU (delta); the paper does not give it, its relative ASTNet uses 0.2


def temporal_shift(features: Tensor, fraction: float) -> Tensor:
    """Move the first channels of each frame to the next frame; never back, so the network stays causal (Fig. 2).

    Args:
        features: ``(b, t, c, h, w)``.
        fraction: share of the ``c`` channels that moves, in [0, 1]; 0 moves nothing.

    Returns:
        ``(b, t, c, h, w)``; the moved channels of the first frame are zero.
    """
    moved = round(features.shape[2] * fraction)
    arrived = features[:, :-1, :moved]
    first = torch.zeros_like(features[:, :1, :moved])
    return torch.cat([torch.cat([first, arrived], dim=1), features[:, :, moved:]], dim=2)


class ResidualTemporalShift(nn.Module):
    """``q'' = delta(q + w2 * delta(w1 * shift(q)))`` (Eq. 1): the shift sits inside the residual branch.

    Args:
        channels: ``c`` of the feature map.
        fraction: share of channels that :func:`temporal_shift` moves.
    """

    def __init__(self, channels: int, fraction: float) -> None:
        super().__init__()
        self.fraction = fraction
        self.w1 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.w2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.delta = nn.LeakyReLU(LEAK)

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(b, t, c, h, w)`` to the same shape."""
        time = features.shape[1]
        shifted = rearrange(temporal_shift(features, self.fraction), "b t c h w -> (b t) c h w")
        branch = self.w2(self.delta(self.w1(shifted)))
        return self.delta(features + rearrange(branch, "(b t) c h w -> b t c h w", t=time))
