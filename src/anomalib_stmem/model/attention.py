"""Residual channel attention module (RCAM) of the decoder (Fig. 4, Eqs. 2-4)."""

from torch import Tensor, nn

from .shift import LEAK


class ResidualChannelAttention(nn.Module):
    """Weigh the channels of a convolved map by what the whole map holds, and add it to the input.

    ``U = W2 * delta(BN(W1 * q))`` (Eq. 2; the text puts the batch normalisation there, the equation omits it),
    ``s = sigmoid(W4 * delta(W3 * GAP(U)))`` (Eq. 3), ``q' = q + U x s`` (Eq. 4).

    Args:
        channels: ``c`` of the feature map.
        reduction: ``r``, by how much W3 narrows the channels; 16 in the paper. At least one channel stays.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        narrow = max(1, channels // reduction)
        self.convolution = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(channels, channels, kernel_size=3, padding=1),
        )
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, narrow, kernel_size=1),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(narrow, channels, kernel_size=1),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to the same shape."""
        convolved = self.convolution(features)
        return features + convolved * self.weigh(convolved)
