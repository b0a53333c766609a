import pytest
import reference
import torch

from anomalib_stmem.model.shift import ResidualTemporalShift, temporal_shift


@pytest.mark.parametrize("moved", [0, 1, 3, 4])
def test_shift_moves_the_first_channels_one_frame_on(moved: int) -> None:
    features = torch.randn(2, 3, 4, 2, 2)
    torch.testing.assert_close(temporal_shift(features, moved / 4), reference.shifted(features, moved))


def test_module_follows_equation_1() -> None:
    module = ResidualTemporalShift(channels=4, fraction=0.5)
    features = torch.randn(2, 3, 4, 5, 5)
    past = reference.shifted(features, 2)
    expected = torch.empty_like(features)
    for clip in range(2):
        for frame in range(3):
            leaky = torch.nn.functional.leaky_relu
            branch = module.w2(leaky(module.w1(past[clip, frame][None]), 0.2))[0]
            expected[clip, frame] = leaky(features[clip, frame] + branch, 0.2)
    torch.testing.assert_close(module(features), expected)


def test_no_frame_hears_of_a_later_one() -> None:
    module = ResidualTemporalShift(channels=4, fraction=0.5)
    features = torch.randn(1, 5, 4, 3, 3)
    changed = features.clone()
    changed[:, 3:] += 1
    torch.testing.assert_close(module(features)[:, :3], module(changed)[:, :3])
