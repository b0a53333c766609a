"""Backbones by name: ours, or any of timm that has maps of stride 16."""

import textwrap
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .backbone import STRIDE, Lite0

OWN_BACKBONE = "lite0"


def make_backbone(name: str) -> "Lite0 | TimmBackbone":
    """Make ``lite0``, or the network of this name in timm; without weights.

    Raises:
        ValueError: timm has no such model, or it has no maps of stride 16.
    """
    return Lite0() if name == OWN_BACKBONE else TimmBackbone(name)


class TimmBackbone(nn.Module):
    """``(b, 3, h, w)`` in [-1, 1] to the maps of stride 16 of a network of timm, ``(b, channels, h / 16, w / 16)``.

    Not anomalib's ``TimmFeatureExtractor``, which wants layers by name, and these differ from network to network.

    Args:
        name: in timm; see ``timm.list_models()``.

    Raises:
        ValueError: timm has no such model, or it has no maps of stride 16.
    """

    mean: Tensor  # (3, 1, 1), of pictures in [0, 1]
    std: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        import timm  # late: the default backbone needs nothing of it

        try:
            about: Any = timm.create_model(name, features_only=True).feature_info
            self.place = about.reduction().index(STRIDE)
            self.network = timm.create_model(name, features_only=True, out_indices=(self.place,)).eval()
            with torch.no_grad():  # transformers want a size of their own, or put the channels last
                seen = self.network(torch.zeros(1, 3, 4 * STRIDE, 6 * STRIDE))[0]
            self.channels = about.channels()[self.place]
            fits = seen.shape == (1, self.channels, 4, 6)
        except (RuntimeError, AttributeError, ValueError, AssertionError) as error:
            raise ValueError(_unfit(name)) from error
        if not fits:
            raise ValueError(_unfit(name))
        self.name = name
        usual: Any = timm.get_pretrained_cfg(name)
        mean, std = (torch.tensor(values).reshape(-1, 1, 1) for values in (usual.mean, usual.std))
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        self.requires_grad_(requires_grad=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Look at pictures whose sides are multiples of 16."""
        return self.network(((pictures + 1) / 2 - self.mean) / self.std)[0]

    def load_pretrained(self, file: Path | str | None = None) -> None:
        """Take over weights, rounded to half precision, as checkpoints keep them.

        Args:
            file: that holds them as timm saves them; without one, timm downloads its own.

        Raises:
            ValueError: they are not to be had, or do not fit into half precision.
        """
        import timm

        overlay: dict[str, Any] = {} if file is None else {"pretrained_cfg_overlay": {"file": str(file)}}
        try:
            timm.create_model(self.name, pretrained=True, **overlay)  # strict; maps alone take what fits, if anything
            source = timm.create_model(
                self.name, pretrained=True, features_only=True, out_indices=(self.place,), **overlay
            )
        except Exception as error:  # a network, a hub and a file can each fail in many ways
            where = "from the network" if file is None else f"from {file}"
            why = textwrap.shorten(str(error), 200)
            msg = (
                f"The weights of --model.appearance_backbone {self.name} cannot be had {where} ({why}). "
                "Give a file that timm can read: --model.appearance_weights FILE."
            )
            raise ValueError(msg) from error
        for name, value in source.state_dict().items():
            rounded = value.half().to(value.dtype)
            if not bool(torch.isfinite(rounded).all()):
                msg = f"{name} of --model.appearance_backbone {self.name} is too large for half precision."
                raise ValueError(msg)
            self.network.state_dict()[name].copy_(rounded)


def _unfit(name: str) -> str:
    return (
        f"--model.appearance_backbone {name}: timm has no such model, or it gives no maps of stride {STRIDE} for "
        "pictures of any size. Expected lite0, or a convolutional network of timm.list_models() such as resnet18."
    )
