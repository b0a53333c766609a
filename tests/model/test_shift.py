import pytest
import reference
import torch
from torch import Tensor

from anomalib_stmem.model.shift import ResidualTemporalShift


def along(module: ResidualTemporalShift, features: Tensor) -> Tensor:
    """Frames 1 .. t-1 of one clip ``(t, c, h, w)``, each with what the frame before it leaves."""
    return module(features[1:], module.moved(features[:-1]))


@pytest.mark.parametrize("moved", [0, 1, 3, 4])
def test_shift_moves_the_first_channels_one_frame_on(moved: int) -> None:
    module = ResidualTemporalShift(channels=4, fraction=moved / 4)
    inputs = []
    module.w1.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    features = torch.randn(3, 4, 2, 2)
    along(module, features)
    torch.testing.assert_close(inputs[0], reference.shifted(features[None], moved)[0, 1:])


def test_module_follows_equation_1() -> None:
    module = ResidualTemporalShift(channels=4, fraction=0.5)
    features = torch.randn(3, 4, 5, 5)
    past = reference.shifted(features[None], 2)[0]
    leaky = torch.nn.functional.leaky_relu
    expected = [
        leaky(features[frame] + module.w2(leaky(module.w1(past[frame][None]), 0.2))[0], 0.2) for frame in (1, 2)
    ]
    torch.testing.assert_close(along(module, features), torch.stack(expected))


def test_no_frame_hears_of_a_later_one() -> None:
    module = ResidualTemporalShift(channels=4, fraction=0.5)
    features = torch.randn(5, 4, 3, 3)
    changed = features.clone()
    changed[3:] += 1
    torch.testing.assert_close(along(module, features)[:2], along(module, changed)[:2])
