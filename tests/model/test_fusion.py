import math

import pytest
import torch

from anomalib_stmem.model.fusion import Fusion


def test_score_is_the_literal_sum() -> None:
    fusion, scores = Fusion(("motion", "speed")), torch.rand(50, 2)
    fusion.calibrate(scores)
    new = [0.3, 2.0]
    means = [float(column.mean()) for column in scores.T]
    deviations = [float(((column - column.mean()) ** 2).mean().sqrt()) for column in scores.T]
    z = [(value - mean) / deviation for value, mean, deviation in zip(new, means, deviations, strict=True)]
    assert float(fusion(torch.tensor(new))) == pytest.approx(math.log(sum(math.exp(one) for one in z)), rel=1e-4)


def test_source_that_separates_nothing_cannot_hide_another() -> None:
    torch.manual_seed(0)
    fusion = Fusion(("motion", "noise"))
    fusion.calibrate(torch.randn(2000, 2))
    normal, abnormal = torch.randn(500, 2), torch.randn(500, 2) + torch.tensor([5.0, 0.0])
    assert float(fusion(normal).quantile(0.99)) < float(fusion(abnormal).quantile(0.1))


def test_either_source_alone_is_enough() -> None:
    fusion = Fusion(("motion", "looks"))
    fusion.calibrate(torch.randn(2000, 2))
    usual, fast, strange = fusion(torch.tensor([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])).tolist()
    assert min(fast, strange) > usual + 4


def test_source_that_never_changed_does_not_divide_by_zero() -> None:
    fusion = Fusion(("motion", "speed"))
    fusion.calibrate(torch.ones(5, 2))
    assert math.isfinite(float(fusion(torch.tensor([1.0, 1.0]))))


def test_maps_are_added_in_units_of_their_usual_peaks() -> None:
    fusion = Fusion(("motion", "speed"))
    fusion.peak.copy_(torch.tensor([2.0, 4.0]))
    torch.testing.assert_close(
        fusion.fuse_maps([torch.full((1, 1, 2, 2), 4.0), torch.ones(1, 1, 2, 2)]), torch.full((1, 1, 2, 2), 2.25)
    )
