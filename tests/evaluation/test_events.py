"""Frames in alarm become events, and false ones are counted."""

import numpy as np
import pytest

from anomalib_stmem.evaluation.events import Timeline, event_numbers, false_alarms


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


def test_events_end_with_their_video() -> None:
    assert event_numbers(flags("####"), timeline(4, [0, 0, 1, 1])).tolist() == [0, 0, 1, 1]


def test_an_event_that_touches_an_abnormal_frame_is_no_false_alarm() -> None:
    #                              one false, one that begins early, one false
    alarm, abnormal = flags("#....###....#."), flags(".......##.....")
    assert false_alarms(alarm, abnormal, timeline(14)) == 2
    assert false_alarms(flags("."), flags("."), timeline(1)) == 0


def test_an_alarm_that_lasts_is_one_more_per_minute() -> None:
    for seconds, count in ((59, 1), (61, 2), (180, 3)):
        assert false_alarms(np.ones(seconds, bool), np.zeros(seconds, bool), timeline(seconds, rate=1.0)) == count


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
    assert false_alarms(np.ones(count, bool), np.zeros(count, bool), timeline(count, rate=rate)) == 1
    assert false_alarms(np.ones(count + 2, bool), np.zeros(count + 2, bool), timeline(count + 2, rate=rate)) == 2
