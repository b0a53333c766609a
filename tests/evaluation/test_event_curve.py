"""Events found over false alarms per hour."""

import numpy as np
import pytest

from anomalib_stmem.evaluation import bootstrap
from anomalib_stmem.evaluation.decided import alarms, held_level, levels
from anomalib_stmem.evaluation.event_curve import event_curve, interval_of, intervals
from anomalib_stmem.evaluation.events import Timeline, Truth
from anomalib_stmem.model.decision import Rule

RATE = 10.0


def some_videos(seed: int, separation: float) -> tuple[np.ndarray, np.ndarray, Timeline]:
    """Four videos of a minute with two events of five seconds each."""
    rng = np.random.default_rng(seed)
    abnormal = np.zeros((4, 600), bool)
    abnormal[:, 100:150] = abnormal[:, 400:450] = True
    scores = np.repeat(rng.normal(size=(4, 60)), 10, axis=1) + separation * abnormal
    timeline = Timeline(np.repeat(np.arange(4), 600), np.tile(np.arange(600), 4), np.full(2400, RATE))
    return scores.ravel(), abnormal.ravel(), timeline


def test_a_perfect_score_finds_everything_without_a_false_alarm() -> None:
    scores, abnormal, timeline = some_videos(0, 20.0)
    curve = event_curve(scores, Truth(abnormal, timeline), timeline)
    assert curve.found_at(0.0) == [1.0]
    rates, found = curve.points()
    assert (rates[0], rates[-1]) == (pytest.approx(0.1), pytest.approx(100))
    assert (found == 1).all()


def test_a_constant_finds_nothing() -> None:
    _, abnormal, timeline = some_videos(0, 0.0)
    curve = event_curve(np.zeros(len(abnormal)), Truth(abnormal, timeline), timeline)
    assert curve.found_at(100.0) == [0.0]


def test_curve_is_that_of_every_threshold_and_rises() -> None:
    scores, abnormal, timeline = some_videos(1, 1.5)
    truth = Truth(abnormal, timeline)
    curve, level, usual = event_curve(scores, truth, timeline), levels(scores, timeline), float(np.median(scores))
    best = 0
    for threshold in curve.thresholds:
        off = min(threshold, held_level(usual, threshold))
        counts = truth.count(alarms(level, timeline, Rule(on=threshold, off=off)))
        if counts.false_per_hour <= 60:
            best = max(best, counts.found.sum())
    assert curve.found_at(60.0) == [best / 8]
    found = curve.points()[1]
    assert (np.diff(found) >= 0).all()
    assert 0 < found[-1] < 1


def test_intervals_are_those_of_drawn_videos() -> None:
    scores, abnormal, timeline = some_videos(2, 1.5)
    truth = Truth(abnormal, timeline)
    curve, draws = event_curve(scores, truth, timeline), bootstrap.resamples(4, 500)
    drawn = curve.found_at(60.0, draws)
    by_hand = [
        max(
            (
                weights @ found
                for found, false in zip(curve.found, curve.false, strict=True)
                if weights @ false <= 60 * weights @ curve.hours
            ),
            default=0,
        )
        / (weights @ curve.events)
        for weights in draws
    ]
    np.testing.assert_allclose(drawn, by_hand)
    counts = truth.count(scores > 2)
    assert intervals(counts, draws)["found"] == interval_of(draws @ counts.found / (draws @ counts.events))


def test_videos_too_short_for_any_alarm_have_a_curve() -> None:
    timeline = Timeline(np.zeros(3, np.int64), np.arange(3), np.full(3, RATE))
    curve = event_curve(np.arange(3.0), Truth(np.array([False, True, False]), timeline), timeline)
    assert curve.found_at(10.0) == [0.0]
