"""From scores of normal video to bounds, thresholds and scale; on the CPU, and on a device without float64."""

import numpy as np
import pytest
import torch

from anomalib_stmem.evaluation.calibration import (
    CalibrationFrames,
    calibrate,
    recalibrate,
    summary_of_maps,
    sure_gap,
    usual_score,
)
from anomalib_stmem.evaluation.decided import decide
from anomalib_stmem.evaluation.events import Timeline, false_alarms
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


def at_ten_per_second(psnr: torch.Tensor) -> CalibrationFrames:
    """Frames of a given PSNR of one video."""
    count = len(psnr)
    timeline = Timeline(np.zeros(count, np.int64), np.arange(count), np.full(count, 10.0))
    return frames(psnr)._replace(timeline=timeline)


@pytest.fixture
def head() -> ScoreHead:
    return ScoreHead("frame", "sum", 1.0)


def test_threshold_keeps_the_false_alarm_budget_on_normal_video(head: ScoreHead) -> None:
    """Two hours at ten frames per second; a second of a high score every minute."""
    rng, psnr = np.random.default_rng(0), np.full(72_000, 38.0)
    for start in range(300, 72_000, 600):
        psnr[start : start + 10] = 37 - rng.exponential(1.0)
    normal = at_ten_per_second(torch.from_numpy(psnr).float())
    calibration = calibrate(head, normal, budget=6)
    scored = calibration(Judged(head(normal.measurements), None, normal.maps[:, 1].view(-1, 1, 1, 1)))
    alarm = decide(scored.pred_score.double().numpy(), normal.timeline)
    assert 8 <= false_alarms(alarm, normal.timeline) <= 16
    assert calibration.is_calibrated
    assert float(calibration.normal_hours) == pytest.approx(2)
    expected, low, high = calibration.expected.tolist()
    assert low < expected < high
    assert expected == pytest.approx(6, rel=0.01)


def test_training_video_counts_as_if_it_had_not_been_trained_on(head: ScoreHead) -> None:
    """Its error is smaller by 3 dB and wavers half as much; so its peaks are where those of other video would be."""
    rng = np.random.default_rng(0)
    psnr = np.repeat(rng.normal(0, 1, 400), 10)
    held = at_ten_per_second(torch.from_numpy(30 + psnr[:1000]).float())
    trained = at_ten_per_second(torch.from_numpy(33 + psnr / 2).float())
    both = calibrate(head, held, 1, trained_on=trained)
    everything = at_ten_per_second(torch.from_numpy(30 + psnr).float())
    alone = calibrate(head, held, 1)
    assert float(both.normal_hours) == pytest.approx(5000 / 36_000)
    assert float(both.trained_hours) == pytest.approx(4000 / 36_000)
    highest = float(head(everything.measurements).max())
    assert float(both.highest) == pytest.approx(highest, rel=0.05)
    assert float(both.highest) > float(alone.highest)


def test_gap_to_unseen_video_counts_as_far_as_it_is_more_than_chance() -> None:
    seen = torch.tensor([[1.0, 1.0], [3.0, 1.2]])
    error = float(seen[:, 0].std()) * (1 / 2 + 1 / 1) ** 0.5
    found = sure_gap(seen, torch.tensor([[4.0, 0.1]]))
    assert float(found[0]) == pytest.approx(4.0 - 2.0 - error)
    assert float(found[1]) == pytest.approx(-1.0 + float(seen[:, 1].std()) * (3 / 2) ** 0.5, rel=1e-4)
    assert float(sure_gap(seen, torch.tensor([[3.0, 1.1]]))[0]) == 0
    assert float(sure_gap(seen[:1], torch.tensor([[4.0, 0.1]]))[0]) == 3.0  # of one video nothing tells what is chance


def test_more_video_moves_a_threshold_and_what_was_seen_before_still_counts(head: ScoreHead) -> None:
    rng = np.random.default_rng(0)
    before = calibrate(head, at_ten_per_second(torch.from_numpy(30 + np.repeat(rng.normal(0, 1, 400), 10)).float()), 1)
    quiet = at_ten_per_second(torch.full((40_000,), 33.0) + 0.01 * torch.rand(40_000))
    after = recalibrate(head, before, quiet, 1.0)
    assert float(after.highest) == float(before.highest)
    assert float(after.normal_hours) == pytest.approx(44_000 / 36_000)
    loud = at_ten_per_second(torch.from_numpy(27 + np.repeat(rng.normal(0, 1, 400), 10)).float())
    assert float(recalibrate(head, before, loud, 1.0).threshold) > float(before.threshold)
    assert float(recalibrate(head, before, quiet, 0.1).threshold) >= float(after.threshold)


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
        (
            {"normal_hours": 0.01, "frame_rate": 10},
            1,
            "rests on 36 s of normal video. On video like it, expect 24 false",
        ),
        (
            {"normal_hours": 0.01, "frame_rate": 10},
            1,
            "24 a day, so the threshold is that of one false event in 36 s",
        ),
        ({"normal_hours": 0.01}, 1, "36 s of normal video (counted at an assumed frame rate)"),
        ({"normal_hours": 5, "frame_rate": 10}, 1, "(with 90 % confidence between 12 and 48)."),
        (
            {"normal_hours": 1, "trained_hours": 0.5, "frame_rate": 10},
            1,
            "60 min of normal video, of which 30 min were",
        ),
    ],
)
def test_what_the_threshold_rests_on_is_said(values: dict, budget: float, words: str) -> None:
    usual = {"threshold": 1.0, "highest": 1.0, "trained_hours": 0.0, "expected": torch.tensor([1.0, 0.5, 2.0])}
    usual = usual if values else {}
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


def test_normal_frames_too_few_for_a_level_are_calibrated_by_their_scores(head: ScoreHead) -> None:
    given = at_ten_per_second(torch.tensor([30.0, 31.0, *[20.0] * 10]))
    calibration = calibrate(head, given, 1, abnormal=np.arange(12) >= 2)
    assert calibration.is_calibrated
