from pathlib import Path

import pytest
import timm
import torch
from trained import calibrated

from anomalib_stmem import FrameStream, STMem, TrainedModel
from anomalib_stmem.model.timm_backbone import TimmBackbone, make_backbone

SMALL = "mobilenetv3_small_050"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that halves can hold, in a file as timm saves them."""
    path = tmp_path_factory.mktemp("weights") / "small.pth"
    network = timm.create_model(SMALL)
    torch.save({name: value.half().to(value.dtype) for name, value in network.state_dict().items()}, path)
    return path


@torch.no_grad()
def test_it_sees_what_timms_network_sees(weights: Path) -> None:
    ours = TimmBackbone(SMALL).eval()
    ours.load_pretrained(weights)
    theirs = timm.create_model(SMALL, checkpoint_path=weights).eval()
    pictures = torch.rand(2, 3, 64, 96)
    usual = timm.get_pretrained_cfg(SMALL)
    normalised = (pictures - torch.tensor(usual.mean)[:, None, None]) / torch.tensor(usual.std)[:, None, None]
    seen = ours(2 * pictures - 1)
    expected = theirs.forward_intermediates(normalised, intermediates_only=True)[3]
    assert seen.shape == (2, ours.channels, 4, 6)
    torch.testing.assert_close(seen, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "name", ["no_such_network", "vit_tiny_patch16_224.nothing", "vit_tiny_patch16_224", "resnetv2_50x1_bit.x"]
)
def test_name_that_timm_does_not_know_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"appearance_backbone {name}: timm has no such model"):
        make_backbone(name)


def test_weights_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot be had from .*nowhere.pth.*appearance_weights FILE"):
        TimmBackbone(SMALL).load_pretrained(tmp_path / "nowhere.pth")


def test_weights_of_another_network_are_refused(weights: Path, tmp_path: Path) -> None:
    """timm itself takes what fits of them, and be it nothing, where it is asked for maps."""
    renamed = {f"features.{name}": value for name, value in torch.load(weights).items()}
    torch.save(renamed, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"cannot be had from .*other.pth \(.{20,200}\). Give a file"):
        TimmBackbone(SMALL).load_pretrained(tmp_path / "other.pth")


def test_weights_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    state = timm.create_model(SMALL).state_dict()
    state["bn1.running_var"] += 1e6
    torch.save(state, tmp_path / "large.pth")
    with pytest.raises(ValueError, match=r"running_var.* is too large for half precision"):
        TimmBackbone(SMALL).load_pretrained(tmp_path / "large.pth")


def test_stream_judges_with_another_backbone_as_the_model_does() -> None:
    model: STMem = calibrated(image_size=(32, 32), appearance=True, appearance_backbone=SMALL)
    model.model.appearance.keep(torch.randn(50, model.model.appearance.backbone.channels))
    trained = TrainedModel(model.trained.network, model.trained.calibration, model.trained.options).eval()
    clip = torch.rand(1, 6, 3, 32, 32)
    with torch.no_grad():
        expected = float(trained(clip).pred_score)
    stream = FrameStream(model)
    verdicts = [stream.push(frame) for frame in clip[0]]
    assert verdicts[-1].score == pytest.approx(expected, abs=1e-4)
