"""A budget of false alarms becomes a threshold, counted or extrapolated."""

import numpy as np
import pytest

from anomalib_stmem.evaluation.events import Timeline, false_alarms
from anomalib_stmem.evaluation.thresholds import extrapolated_threshold, threshold_for


def timeline(count: int, videos: list[int] | None = None, rate: float = 2.0) -> Timeline:
    return Timeline(np.array(videos or [0] * count), np.arange(count), np.full(count, rate))


def test_threshold_keeps_the_budget_and_could_not_be_lower() -> None:
    rng = np.random.default_rng(0)
    scores, when = np.round(rng.normal(size=2000), 2), timeline(2000, rate=1.0)
    for per_hour in (0, 2, 20, 100):
        threshold = threshold_for(scores, when, per_hour)
        allowed = per_hour * 2000 / 3600
        events = {level: false_alarms(scores > level, np.zeros(2000, bool), when) for level in np.unique(scores)}
        assert events[threshold] <= allowed
        lower = [level for level in events if level < threshold]
        assert not lower or events[max(lower)] > allowed


def test_no_budget_means_no_normal_frame_exceeds_it() -> None:
    scores = np.array([1.0, 5.0, 3.0])
    assert threshold_for(scores, timeline(3), 0) == 5


def test_a_generous_budget_still_flags_only_above_the_lowest() -> None:
    assert threshold_for(np.array([1.0, 5.0, 3.0]), timeline(3), 1e9) == 1


def test_tail_is_extrapolated_to_budgets_that_the_video_is_too_short_for() -> None:
    """Peaks with an exponential tail: ten hours of other video hold about what was asked for."""
    rng = np.random.default_rng(0)

    def normal_video(hours: float) -> tuple[np.ndarray, Timeline]:
        count = int(3600 * hours)
        scores = np.where(np.arange(count) % 10 == 0, rng.exponential(0.1, count), 0.0)  # a peak every ten seconds
        return scores, timeline(count, rate=1.0)

    found = []
    for _ in range(20):
        threshold = extrapolated_threshold(*normal_video(0.5), per_hour=0.5)
        scores, when = normal_video(40)
        found.append(false_alarms(scores > threshold, np.zeros(len(scores), bool), when) / 40)
    assert 0.1 < np.median(found) < 1.5


def test_budget_that_can_be_counted_is_counted_and_no_threshold_is_below_what_was_seen() -> None:
    rng = np.random.default_rng(0)
    scores, when = rng.normal(size=7200), timeline(7200, rate=1.0)
    assert extrapolated_threshold(scores, when, 5) == threshold_for(scores, when, 5)
    assert extrapolated_threshold(scores, when, 0.1) >= scores.max()
    same = np.zeros(100)
    assert extrapolated_threshold(same, timeline(100), 0.1) == 0


def test_tail_is_that_of_the_twenty_highest_peaks() -> None:
    """Forty single peaks, a minute apart: their tail begins where twenty of them are above it."""
    peaks = 1 + np.random.default_rng(0).exponential(1.0, 40)
    scores = np.zeros(40 * 60)
    scores[::60] = peaks
    when = timeline(len(scores), rate=1.0)
    highest = sorted(peaks)[::-1]
    level, per_hour = highest[20], 0.1
    excess = sum(peak - level for peak in highest[:20]) / 20
    expected = level + excess * np.log(20 / (per_hour * len(scores) / 3600))
    assert extrapolated_threshold(scores, when, per_hour) == pytest.approx(expected)


def test_budget_may_be_used_up_whole() -> None:
    """Two peaks in an hour, and two alarms an hour allowed: both may be above the threshold."""
    scores = np.zeros(3600)
    scores[[100, 2000]] = 5.0, 7.0
    when = timeline(3600, rate=1.0)
    assert threshold_for(scores, when, 2) == 0
    assert threshold_for(scores, when, 1) == 5
    assert threshold_for(scores, when, 0.99) == 7
