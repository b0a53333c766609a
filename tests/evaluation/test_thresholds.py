"""Peaks of normal video become a threshold for a budget, and what is to be expected of it."""

import numpy as np
import pytest
from scipy.stats import genpareto

from anomalib_stmem.evaluation.events import Timeline, false_alarms
from anomalib_stmem.evaluation.thresholds import PEAKS, SHAPES, Tail, fit_excess, tail_of
from anomalib_stmem.model.calibration import MOST_PEAKS, foretold


def timeline(count: int, rate: float = 1.0) -> Timeline:
    return Timeline(np.zeros(count, np.int64), np.arange(count), np.full(count, rate))


def normal_video(hours: float, rng: np.random.Generator) -> tuple[np.ndarray, Timeline]:
    """A peak every ten seconds, with an exponential tail."""
    count = int(3600 * hours)
    return np.where(np.arange(count) % 10 == 0, rng.exponential(0.1, count), 0.0), timeline(count)


@pytest.mark.parametrize("shape", [-0.4, -0.2, 0.0, 0.15])
def test_shape_and_scale_of_a_known_tail_are_found(shape: float) -> None:
    excess = genpareto.rvs(shape, scale=2.0, size=20_000, random_state=0)
    found = fit_excess(excess)
    assert found == (pytest.approx(shape, abs=0.03), pytest.approx(2.0, rel=0.03))


def test_shape_stays_within_what_so_few_peaks_can_tell() -> None:
    assert fit_excess(np.array([0.1, 0.1, 0.1, 0.1, 50.0]))[0] == SHAPES[1]
    assert fit_excess(np.full(30, 2.0))[0] == SHAPES[0]
    shape, scale = fit_excess(np.array([0.5]))
    assert (shape, scale) == (0.0, 0.5)


def test_tail_is_that_of_the_highest_peaks_one_for_each_run() -> None:
    """Forty peaks of two frames, a minute apart."""
    highest = 1 + np.random.default_rng(0).exponential(1.0, 40)
    levels = np.zeros(40 * 60)
    levels[::60], levels[1::60] = highest, highest - 0.01
    tail = tail_of(levels, timeline(len(levels)))
    assert PEAKS <= len(tail.peaks) <= PEAKS + 2
    np.testing.assert_allclose(tail.peaks, np.sort(highest)[::-1][: len(tail.peaks)])
    assert tail.hours == pytest.approx(40 / 60)


def test_other_video_holds_about_as_many_false_alarms_as_the_budget() -> None:
    rng, found = np.random.default_rng(0), []
    for _ in range(20):
        threshold = tail_of(*normal_video(2, rng)).threshold(0.5)
        levels, when = normal_video(40, rng)
        found.append(false_alarms(levels > threshold, when) / 40)
    assert 0.25 < np.median(found) < 1.0


def test_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Nine times of ten, over forty stretches of an hour; the truth is known of an exponential tail."""
    rng, held = np.random.default_rng(1), 0
    for _ in range(40):
        tail = tail_of(*normal_video(1, rng))
        threshold = tail.threshold(2.0)
        truth = 360 * np.exp(-threshold / 0.1)
        low, high = tail.interval(threshold)
        held += low <= truth <= high
    assert held >= 32


def test_very_little_video_is_not_asked_for_more_than_itself() -> None:
    tail = Tail(np.linspace(3, 1, 20), 0.9, hours=0.1)
    assert tail.threshold(1 / 24) == tail.threshold(10.0)
    assert tail.rate(tail.threshold(1 / 24)) == pytest.approx(10.0)
    assert foretold(0.1) == pytest.approx(0.1)
    assert (foretold(1), foretold(5), foretold(100)) == (1, 25, 1000)


def test_a_budget_larger_than_what_was_seen_is_met_by_the_base() -> None:
    tail = Tail(np.array([3.0, 2.0]), 1.0, hours=1.0)
    assert tail.threshold(5.0) == 1.0
    assert Tail(np.zeros(0), 1.0, 1.0).threshold(5.0) == 1.0


def test_nothing_above_the_threshold_tells_no_more_than_the_time_allows() -> None:
    low, high = Tail(np.array([1.5, 1.2]), 1.0, hours=2.0).interval(50.0)
    assert low == 0
    assert high == pytest.approx(np.log(20) / 2)


def test_two_stretches_count_as_one() -> None:
    one, two = Tail(np.array([5.0, 3.0, 2.0]), 1.0, 1.0), Tail(np.array([4.0, 2.5]), 2.2, 3.0)
    both = one.joined(two)
    assert both.peaks.tolist() == [5.0, 4.0, 3.0, 2.5]
    assert (both.base, both.hours) == (2.2, 4.0)
    many = Tail(np.linspace(9, 1, 80), 0.5, 1.0)
    assert len(many.joined(many).peaks) <= MOST_PEAKS


def test_levels_without_any_peak_have_a_tail() -> None:
    tail = tail_of(np.full(100, 2.0), timeline(100))
    assert len(tail.peaks) == 0
    assert tail.threshold(1.0) == 2.0
    assert tail.rate(2.0) == 0.0
