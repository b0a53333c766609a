"""From scores of normal video to bounds, thresholds and scale; on the CPU, and on a device without float64."""

import numpy as np
import pytest
import torch

from anomalib_stmem.evaluation.calibration import CalibrationFrames, calibrate, summary_of_maps, usual_score
from anomalib_stmem.evaluation.events import Timeline
from anomalib_stmem.model.calibration import Calibration, squash, unsquash
from anomalib_stmem.model.scoring import MEASUREMENTS, ScoreHead
from anomalib_stmem.model.torch_model import Judged
from anomalib_stmem.shell.post_processor import best_for_f1

PSNR = MEASUREMENTS.index("psnr_frame_sum")


def frames(psnr: torch.Tensor) -> CalibrationFrames:
    """Frames of a given PSNR, whose maps fall with it. One a minute, so that every one in alarm is an event."""
    measurements, count = torch.zeros(len(psnr), len(MEASUREMENTS)), len(psnr)
    measurements[:, PSNR] = psnr
    timeline = Timeline(np.zeros(count, np.int64), 2 * np.arange(count), np.full(count, 1 / 60))
    return CalibrationFrames(measurements, torch.stack([0.1 / psnr, 1 / psnr], dim=1), timeline)


@pytest.fixture
def head() -> ScoreHead:
    return ScoreHead("frame", "sum", 1.0)


def test_threshold_keeps_the_false_alarm_budget_on_normal_frames(head: ScoreHead) -> None:
    normal = frames(torch.linspace(30, 40, 101))
    calibration = calibrate(head, normal, budget=6)
    scored = calibration(Judged(head(normal.measurements), None, normal.maps[:, 1].view(-1, 1, 1, 1)))
    assert int(scored.pred_label.sum()) == 10
    assert int(scored.pred_mask.sum()) == 1  # one frame in a hundred
    assert calibration.is_calibrated
    assert float(calibration.normal_hours) == pytest.approx(101 / 60)


def test_bounds_of_g_come_from_normal_frames_only(head: ScoreHead) -> None:
    given = frames(torch.tensor([30.0, 35, 40, 10]))
    calibrate(head, given, 1, abnormal=np.array([False, False, False, True]))
    assert (float(head.lower[PSNR]), float(head.upper[PSNR])) == (30, 40)


def test_labelled_anomalies_set_the_f1_threshold(head: ScoreHead) -> None:
    """Perfectly separable: the F1-adaptive threshold flags exactly the abnormal frames, the budget would flag more."""
    given, abnormal = frames(torch.cat([torch.linspace(30, 40, 50), torch.linspace(5, 20, 50)])), np.arange(100) >= 50
    calibration = calibrate(head, given, 30, abnormal=abnormal, best_threshold=best_for_f1)
    scored = calibration(Judged(head(given.measurements), None, given.maps[:, 1].view(-1, 1, 1, 1)))
    # The threshold is the lowest abnormal score itself, and anomalib asks for more than the threshold.
    assert scored.pred_label[:50].sum() == 0
    assert scored.pred_label[50:].sum() >= 49
    assert torch.isnan(calibration.normal_hours)


def test_scores_stay_inside_the_unit_interval_and_in_order(head: ScoreHead) -> None:
    calibration = calibrate(head, frames(torch.linspace(30, 40, 101)), 1)
    mapped = squash(torch.linspace(-50, 50, 1001), calibration.usual, calibration.threshold)
    assert 0 < mapped.min() < mapped.max() < 1
    assert (mapped.diff() > 0).all()


def test_half_is_the_threshold_and_squashing_can_be_undone(head: ScoreHead) -> None:
    calibration = calibrate(head, frames(torch.linspace(30, 40, 101)), 1)
    scale = calibration.usual, calibration.threshold
    assert float(squash(calibration.threshold, *scale)) == pytest.approx(0.5)
    assert float(squash(calibration.usual, *scale)) == pytest.approx(0.25)
    raw = torch.linspace(-3, 3, 50)
    torch.testing.assert_close(unsquash(squash(raw, *scale), *scale), raw, atol=1e-4, rtol=1e-4)


def test_usual_score_is_a_standard_deviation_below_the_threshold_at_least() -> None:
    """Else one frame that is far above the others would set a scale on which all are alike."""
    normal = torch.tensor([1.0, 1.0, 1.0, 5.0])
    deviation = np.std([1, 1, 1, 5])
    assert float(usual_score(normal, torch.tensor(5.0))) == pytest.approx(1.0)  # the median is far enough below
    assert float(usual_score(normal, torch.tensor(1.5))) == pytest.approx(1.5 - deviation)
    assert float(usual_score(normal, torch.tensor(1.0))) == pytest.approx(1.0 - deviation)


def test_validation_without_normal_frames_is_refused(head: ScoreHead) -> None:
    with pytest.raises(ValueError, match="no normal frame"):
        calibrate(head, frames(torch.tensor([30.0, 31])), 1, abnormal=np.ones(2, bool))


def test_map_is_summarised_by_its_mean_and_its_99_percent() -> None:
    maps = torch.arange(200.0).flip(0).view(1, 1, 10, 20)
    assert summary_of_maps(maps).tolist() == [[99.5, 197.0]]  # 198 of 200 pixels are not above the 198th lowest


@pytest.mark.parametrize(
    ("values", "budget", "words"),
    [
        ({}, 1, "There is no threshold: the model has seen no validation video"),
        ({"threshold": 1.0, "frame_rate": 10}, 1, "best one for F1 on labelled validation video"),
        ({"normal_hours": 0.01, "frame_rate": 10}, 1, "36 s of normal video, none of which exceeds it"),
        ({"normal_hours": 0.01, "frame_rate": 10}, 1, "fewer than 300 per hour"),
        ({"normal_hours": 0.01}, 1, "36 s of normal video (counted at an assumed frame rate), none"),
        ({"normal_hours": 3, "frame_rate": 10}, 2, "10800 s of normal video, which would hold 6.0 false alarms at 2"),
        ({"normal_hours": 1, "threshold": 2.0, "frame_rate": 10}, 1 / 24, "0.0417 false alarms per hour (1 per day)"),
    ],
)
def test_what_the_threshold_rests_on_is_said(values: dict, budget: float, words: str) -> None:
    usual = {"threshold": 1.0, "highest": 1.0} if values else {}
    assert words in Calibration(usual | values, budget).explain()


def test_sensitivity_moves_the_threshold_on_the_scale() -> None:
    """As in anomalib: a sensitivity of 0.8 flags what is above 0.2."""
    values = {"usual": 0.0, "threshold": 1.0, "pixel_usual": 0.0, "pixel_threshold": 1.0}
    calibration = Calibration(values, sensitivity=0.8, pixel_sensitivity=0.3)
    raw = torch.linspace(-3, 5, 81)
    judged = calibration(Judged(raw, None, raw.view(-1, 1, 1, 1)))
    assert torch.equal(judged.pred_label, judged.pred_score > 0.2)
    assert torch.equal(judged.pred_mask, judged.anomaly_map > 0.7)
    assert 0 < judged.pred_mask.sum() < judged.pred_label.sum()
