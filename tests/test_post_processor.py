from types import SimpleNamespace

import numpy as np
import pytest
import torch
from anomalib.data import InferenceBatch

from anomalib_stmem import CalibratedPostProcessor
from anomalib_stmem.evaluation.events import Timeline
from anomalib_stmem.model.scoring import MEASUREMENTS, ScoreHead

PSNR = MEASUREMENTS.index("psnr_frame_sum")


def frames(psnr: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Measurements with a given PSNR, and maps whose maximum falls with it."""
    measurements = torch.zeros(len(psnr), len(MEASUREMENTS))
    measurements[:, PSNR] = psnr
    return measurements, torch.stack([0.1 / psnr, 1 / psnr], dim=1)


def hours(count: int) -> Timeline:
    """One frame per minute of one video and gaps between, so that every frame in alarm is an event of its own."""
    return Timeline(np.zeros(count, np.int64), 2 * np.arange(count), np.full(count, 1 / 60))


@pytest.fixture
def head() -> ScoreHead:
    return ScoreHead("frame", "sum", 1.0)


def test_threshold_keeps_the_false_alarm_budget_on_normal_frames(head: ScoreHead) -> None:
    post = CalibratedPostProcessor(false_alarms_per_hour=6)
    measurements, maps = frames(torch.linspace(30, 40, 101))
    post.calibrate(head, torch.zeros(101, dtype=torch.bool), maps, measurements, hours(101))
    scored = post(InferenceBatch(pred_score=head(measurements), anomaly_map=maps[:, 1].view(-1, 1, 1, 1)))
    assert int(scored.pred_label.sum()) == 10
    assert int(scored.pred_mask.sum()) == 1  # one frame in a hundred
    assert post.is_calibrated


def test_bounds_of_g_come_from_normal_frames_only(head: ScoreHead) -> None:
    measurements, maps = frames(torch.tensor([30.0, 35, 40, 10]))
    CalibratedPostProcessor().calibrate(head, torch.tensor([False, False, False, True]), maps, measurements, hours(4))
    assert (float(head.lower[PSNR]), float(head.upper[PSNR])) == (30, 40)


def test_labelled_anomalies_set_the_f1_threshold(head: ScoreHead) -> None:
    """Perfectly separable: the F1-adaptive threshold flags exactly the abnormal frames, the budget would flag more."""
    measurements, maps = frames(torch.cat([torch.linspace(30, 40, 50), torch.linspace(5, 20, 50)]))
    abnormal = torch.arange(100) >= 50
    post = CalibratedPostProcessor(false_alarms_per_hour=30)
    post.calibrate(head, abnormal, maps, measurements, hours(100))
    scored = post(InferenceBatch(pred_score=head(measurements), anomaly_map=maps[:, 1].view(-1, 1, 1, 1)))
    # The threshold is the lowest abnormal score itself, and anomalib asks for more than the threshold.
    assert scored.pred_label[:50].sum() == 0
    assert scored.pred_label[50:].sum() >= 49


def test_scores_stay_inside_the_unit_interval_and_in_order(head: ScoreHead) -> None:
    post = CalibratedPostProcessor()
    measurements, maps = frames(torch.linspace(30, 40, 101))
    post.calibrate(head, torch.zeros(101, dtype=torch.bool), maps, measurements, hours(101))
    raw = torch.linspace(-50, 50, 1001)
    mapped = post._normalize(raw, post.image_min, post.image_max, post.image_threshold)
    assert 0 < mapped.min() < mapped.max() < 1
    assert (mapped.diff() > 0).all()


def test_half_is_the_threshold(head: ScoreHead) -> None:
    post = CalibratedPostProcessor()
    measurements, maps = frames(torch.linspace(30, 40, 101))
    post.calibrate(head, torch.zeros(101, dtype=torch.bool), maps, measurements, hours(101))
    at = post._normalize(post.image_threshold, post.image_min, post.image_max, post.image_threshold)
    assert float(at) == pytest.approx(0.5)


def test_before_calibration_scores_are_squashed_but_a_warning_says_so(caplog: pytest.LogCaptureFixture) -> None:
    post = CalibratedPostProcessor()
    out = post(InferenceBatch(pred_score=torch.tensor([-3.0, 0, 30]), anomaly_map=torch.zeros(3, 1, 2, 2)))
    assert 0 < out.pred_score.min() < out.pred_score.max() < 1
    post.on_test_start(SimpleNamespace(), SimpleNamespace())
    assert "seen no validation video" in caplog.text


def test_validation_without_normal_frames_is_refused(head: ScoreHead) -> None:
    measurements, maps = frames(torch.tensor([30.0, 31]))
    with pytest.raises(ValueError, match="no normal frame"):
        CalibratedPostProcessor().calibrate(head, torch.ones(2, dtype=torch.bool), maps, measurements, hours(2))


def test_thresholds_are_in_the_checkpoint(head: ScoreHead) -> None:
    post, other = CalibratedPostProcessor(), CalibratedPostProcessor()
    measurements, maps = frames(torch.linspace(30, 40, 101))
    post.calibrate(head, torch.zeros(101, dtype=torch.bool), maps, measurements, hours(101))
    other.load_state_dict(post.state_dict())
    torch.testing.assert_close(other.image_threshold, post.image_threshold)


def test_it_says_what_the_threshold_rests_on(head: ScoreHead) -> None:
    post = CalibratedPostProcessor(false_alarms_per_hour=0.1)
    assert "seen no validation video" in post.basis()
    measurements, maps = frames(torch.linspace(30, 40, 60))
    post.calibrate(head, torch.zeros(60, dtype=torch.bool), maps, measurements, hours(60))
    assert "3600 s of normal video, none of which exceeds it" in post.basis()
    assert not (head(measurements) > post.image_threshold).any()
    post.calibrate(head, torch.arange(60) < 5, maps, measurements, hours(60))
    assert "best one for F1" in post.basis()


def test_impossible_budget_is_named() -> None:
    with pytest.raises(ValueError, match="false_alarms_per_hour must be 0 or more; got -1"):
        CalibratedPostProcessor(false_alarms_per_hour=-1)
