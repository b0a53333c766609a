from dataclasses import dataclass

import numpy as np
import pytest
import reference
import torch
from anomalib import metrics

from anomalib_stmem.evaluation.pixel_metrics import AUPRO, PixelAUROC


@dataclass
class Pixels:
    """What the metrics read of a batch."""

    anomaly_map: torch.Tensor
    gt_mask: torch.Tensor
    mask_known: torch.Tensor


@pytest.fixture
def pixels() -> Pixels:
    rng = np.random.default_rng(0)
    masks = np.zeros((6, 12, 14), bool)
    masks[1, 2:5, 2:6] = masks[1, 8:11, 9:13] = masks[2, 3:9, 4:7] = masks[4, 0:3, 0:3] = True
    maps = np.clip(rng.normal(0.35 + 0.2 * masks, 0.12), 0, 1)
    return Pixels(torch.tensor(maps)[:, None].float(), torch.tensor(masks), torch.ones(6, dtype=torch.bool))


def value(metric, *batches: Pixels) -> float:  # noqa: ANN001
    for batch in batches:
        metric.update(batch)
    return float(metric.compute())


def test_auroc_is_that_of_all_pixels(pixels: Pixels) -> None:
    flat = pixels.anomaly_map.flatten().tolist(), pixels.gt_mask.flatten().tolist()
    assert value(PixelAUROC(), pixels) == pytest.approx(reference.auroc(*flat), abs=2e-3)


@pytest.mark.parametrize("limit", [0.3, 0.05, 1.0])
def test_aupro_is_its_slow_self(pixels: Pixels, limit: float) -> None:
    expected = reference.aupro(pixels.anomaly_map[:, 0].tolist(), pixels.gt_mask.tolist(), limit)
    assert value(AUPRO(fpr_limit=limit), pixels) == pytest.approx(expected, abs=2e-3)


def test_binned_aupro_is_near_anomalibs_exact_one(pixels: Pixels) -> None:
    exact = metrics.AUPRO(fields=["anomaly_map", "gt_mask"])
    exact.update(pixels)
    assert value(AUPRO(), pixels) == pytest.approx(float(exact.compute()), abs=5e-3)


def test_more_levels_come_nearer(pixels: Pixels) -> None:
    expected = reference.aupro(pixels.anomaly_map[:, 0].tolist(), pixels.gt_mask.tolist(), 0.3)
    errors = [abs(value(AUPRO(num_levels=levels), pixels) - expected) for levels in (10, 10000)]
    assert errors[1] < 1e-4 < errors[0]


def test_frames_without_known_mask_do_not_count(pixels: Pixels) -> None:
    filled = Pixels(
        torch.cat([pixels.anomaly_map, torch.ones(2, 1, 12, 14)]),
        torch.cat([pixels.gt_mask, torch.zeros(2, 12, 14, dtype=torch.bool)]),
        torch.cat([pixels.mask_known, torch.zeros(2, dtype=torch.bool)]),
    )
    for make in (PixelAUROC, AUPRO):
        assert value(make(), filled) == value(make(), pixels)


def test_batches_do_not_matter(pixels: Pixels) -> None:
    parts = [Pixels(pixels.anomaly_map[r], pixels.gt_mask[r], pixels.mask_known[r]) for r in (slice(4, 6), slice(0, 4))]
    assert value(AUPRO(), *parts) == pytest.approx(value(AUPRO(), pixels))


def test_state_does_not_grow_with_the_frames(pixels: Pixels) -> None:
    metric = AUPRO()
    for _ in range(3):
        metric.update(pixels)
    assert sum(state.numel() for state in metric.metric_state.values()) == 2 * 1001 + 2


def test_no_region_has_no_value(pixels: Pixels) -> None:
    nothing = Pixels(pixels.anomaly_map, torch.zeros_like(pixels.gt_mask), pixels.mask_known)
    assert np.isnan(value(AUPRO(), nothing))
    assert np.isnan(value(PixelAUROC(), nothing))


def test_few_levels_tie_by_half() -> None:
    maps = torch.tensor([[[[0.2, 0.7, 0.72]]]])
    pixels = Pixels(maps, torch.tensor([[[False, False, True]]]), torch.ones(1, dtype=torch.bool))
    assert value(PixelAUROC(num_levels=10), pixels) == pytest.approx(0.75)


def test_false_positive_limit_is_that_of_bergmann_unless_told_otherwise(pixels: Pixels) -> None:
    assert AUPRO().fpr_limit == 0.3
    assert value(AUPRO(), pixels) == value(AUPRO(fpr_limit=0.3), pixels)
    assert abs(value(AUPRO(), pixels) - value(AUPRO(fpr_limit=0.2), pixels)) > 0.01
