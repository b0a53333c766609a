"""Frames in alarm become events, and false ones are counted."""

import numpy as np
import pytest

from anomalib_stmem.evaluation.events import Timeline, count_events, event_numbers, false_alarms


def timeline(count: int, videos: list[int] | None = None, rate: float = 2.0) -> Timeline:
    return Timeline(np.array(videos or [0] * count), np.arange(count), np.full(count, rate))


def flags(text: str) -> np.ndarray:
    return np.array([letter == "#" for letter in text])


@pytest.mark.parametrize(
    ("alarm", "numbers"),
    [
        ("......", [-1] * 6),
        ("##..##", [0, 0, -1, -1, 1, 1]),  # two frames between at 2 per second are a second
        ("##.##.", [0, 0, -1, 0, 0, -1]),
        ("######", [0] * 6),
    ],
)
def test_alarms_closer_than_a_second_are_one_event(alarm: str, numbers: list[int]) -> None:
    assert event_numbers(flags(alarm), timeline(6)).tolist() == numbers


def test_hours_are_those_of_the_camera_with_its_repeats() -> None:
    two = Timeline(np.array([0, 0, 1]), np.array([0, 1, 0]), np.full(3, 2.0), np.array([1.0, 1.0, 0.25]))
    assert two.hours * 3600 == pytest.approx(0.5 + 0.5 + 2)
    assert two[np.array([False, True, True])].hours * 3600 == pytest.approx(0.5 + 2)


def test_events_end_with_their_video() -> None:
    assert event_numbers(flags("####"), timeline(4, [0, 0, 1, 1])).tolist() == [0, 0, 1, 1]


def test_events_are_found_and_alarms_beside_them_are_false() -> None:
    """At 2 frames per second."""
    abnormal = flags("......####..........####............####")
    alarm = flags("#.......##....##.......................#")
    counts = count_events(alarm, abnormal, timeline(len(alarm)))
    assert (counts.found.tolist(), counts.events.tolist()) == ([2], [3])
    assert counts.false.tolist() == [2]  # frames 0 and 14; no alarm at the second event
    assert counts.delays.tolist() == [1.0, 1.5]
    assert counts.hours.sum() == pytest.approx(28 / 2 / 3600)
    assert counts.share_found == pytest.approx(2 / 3)
    assert counts.false_per_hour == pytest.approx(2 / (14 / 3600))
    assert counts.delay(0.5) == 1.25


@pytest.mark.parametrize(("gap", "false"), [(1, 0), (2, 0), (3, 1)])
def test_an_alarm_may_miss_an_event_by_a_second(gap: int, false: int) -> None:
    """At 2 frames per second, an alarm that ends two frames before the event is a second early."""
    abnormal = flags("." * 10 + "####")
    alarm = np.zeros(14, bool)
    alarm[10 - gap] = True
    counts = count_events(alarm, abnormal, timeline(14))
    assert (int(counts.found.sum()), int(counts.false.sum())) == (0, false)


def test_an_alarm_for_ever_finds_everything_and_is_false_beside_it() -> None:
    abnormal = flags("." * 40 + "####" + "." * 40)
    counts = count_events(np.ones(84, bool), abnormal, timeline(84))
    assert (int(counts.found.sum()), int(counts.false.sum())) == (1, 2)
    assert counts.delays.tolist() == [0.0]  # it was there before
    short = flags("." * 37 + "#" * 9 + "." * 38)  # 1.5 s before the event, 1 s after it
    assert count_events(short, abnormal, timeline(84)).false.sum() == 0


def test_events_of_other_videos_do_not_count() -> None:
    when = timeline(8, [0, 0, 0, 0, 1, 1, 1, 1])
    counts = count_events(flags("##......"), flags("....##.."), when)
    assert (counts.found.tolist(), counts.events.tolist(), counts.false.tolist()) == ([0, 0], [0, 1], [1, 0])


def test_nothing_at_all_is_counted_as_nothing() -> None:
    counts = count_events(flags("..."), flags("..."), timeline(3))
    assert np.isnan(counts.share_found)
    assert np.isnan(counts.delay(0.5))
    assert counts.false_per_hour == 0
    assert np.isnan(count_events(flags("##"), flags("##"), timeline(2)).false_per_hour)


@pytest.mark.parametrize("seed", range(20))
def test_counts_equal_those_of_a_slow_count(seed: int) -> None:
    rng = np.random.default_rng(seed)
    videos = np.sort(rng.integers(0, 2, 200))
    frames = np.concatenate([np.arange((videos == one).sum()) for one in (0, 1)])
    when = Timeline(videos, frames, np.full(200, 2.0))
    alarm, abnormal = (np.convolve(rng.random(200) < share, np.ones(6), "same") > 0 for share in (0.02, 0.02))
    counts = count_events(alarm, abnormal, when)
    assert counts.found.tolist() == [slow_found(alarm, abnormal, when, video) for video in (0, 1)]
    assert counts.false.tolist() == [slow_false(alarm, abnormal, when, video) for video in (0, 1)]


def slow_runs(marked: np.ndarray, when: Timeline, video: int) -> list[tuple[float, float, list[float]]]:
    runs: list[tuple[float, float, list[float]]] = []
    for frame, rate in zip(when.frames[marked & (when.videos == video)], when.rates, strict=False):
        seconds = frame / rate
        if runs and seconds - runs[-1][1] - 1 / rate < 1 - 1e-6:
            runs[-1] = runs[-1][0], seconds, [*runs[-1][2], seconds]
        else:
            runs.append((seconds, seconds, [seconds]))
    return runs


def slow_found(alarm: np.ndarray, abnormal: np.ndarray, when: Timeline, video: int) -> int:
    told = slow_runs(alarm, when, video)
    return sum(any(a <= end and b >= start for a, b, _ in told) for start, end, _ in slow_runs(abnormal, when, video))


def slow_false(alarm: np.ndarray, abnormal: np.ndarray, when: Timeline, video: int) -> int:
    events, false = slow_runs(abnormal, when, video), 0
    for first, last, seconds in slow_runs(alarm, when, video):
        if not any(first <= end + 1 and last >= start - 1 for start, end, _ in events):
            false += 1
            continue
        outside = [one for one in seconds if not any(start - 1 <= one <= end + 1 for start, end, _ in events)]
        rest: list[list[float]] = []
        for one in outside:
            if rest and one - rest[-1][-1] - 0.5 < 1 - 1e-6:
                rest[-1].append(one)
            else:
                rest.append([one])
        false += sum(len(part) / 2 >= 1 for part in rest)
    return false


def test_an_alarm_that_lasts_is_one_more_per_minute() -> None:
    for seconds, count in ((59, 1), (61, 2), (180, 3)):
        assert false_alarms(np.ones(seconds, bool), timeline(seconds, rate=1.0)) == count


@pytest.mark.parametrize(("quiet", "events"), [(9, 1), (10, 2), (11, 2)])
def test_a_second_without_alarm_parts_two_events(quiet: int, events: int) -> None:
    """At 10 frames per second: nine frames between are less than a second, ten are one."""
    alarm = np.array([True] + [False] * quiet + [True])
    assert event_numbers(alarm, timeline(len(alarm), rate=10.0)).max() + 1 == events


@pytest.mark.parametrize("rate", [10.0, 25.0, 29.97, 1 / 0.0333])
def test_an_alarm_of_exactly_a_minute_is_one(rate: float) -> None:
    """600 times a tenth of a second is a little more than a minute, as computers count."""
    minute = round(60 * rate)
    count = minute if minute / rate <= 60 else minute - 1
    assert false_alarms(np.ones(count, bool), timeline(count, rate=rate)) == 1
    assert false_alarms(np.ones(count + 2, bool), timeline(count + 2, rate=rate)) == 2
