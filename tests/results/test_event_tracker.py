import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalib_stmem.evaluation.events import Timeline, event_numbers
from anomalib_stmem.results.event_tracker import EventTracker, boxes_of, largest_region, reason_of, what_is_odd
from anomalib_stmem.results.judged_frame import JudgedFrame, Verdict
from anomalib_stmem.video.frame import Frame

FRAME = np.zeros((20, 40, 3), np.uint8)


def judged(index: int, score: float, rate: float = 10.0, anomaly_map: np.ndarray | None = None) -> JudgedFrame:
    shown = np.zeros((10, 10), np.float32) if anomaly_map is None else anomaly_map
    return JudgedFrame(Frame(index, index / rate, FRAME), Verdict(index, score, score > 0.5, shown))


def track(scores: list[float], rate: float) -> list:
    tracker = EventTracker(rate)
    changes = [change for index, score in enumerate(scores) for change in tracker.push(judged(index, score, rate))]
    return [*changes, *tracker.finish()]


@given(st.lists(st.sampled_from([0.2, 0.6, 0.7]), max_size=60), st.sampled_from([2.0, 10.0, 25.0]))
def test_events_are_those_that_the_evaluation_counts(scores: list[float], rate: float) -> None:
    alarm = np.array(scores) > 0.5
    frames = np.arange(len(scores))
    numbers = event_numbers(alarm, Timeline(np.zeros(len(scores), int), frames, np.full(len(scores), rate)))
    expected = [
        (int(frames[numbers == number].min()), int(frames[numbers == number].max()))
        for number in range(numbers.max(initial=-1) + 1)
    ]
    changes = track(scores, rate)
    assert [(c.event.start_frame, c.event.end_frame) for c in changes if c.what == "ended"] == expected
    assert [c.event.id for c in changes if c.what == "began"] == list(range(1, len(expected) + 1))


def test_event_keeps_its_highest_frame() -> None:
    *_, last = track([0.6, 0.9, 0.7], 10)
    assert (last.what, last.event.peak_frame, last.event.score, last.event.end_frame) == ("ended", 1, 0.9, 2)


def test_frame_in_warm_up_is_no_alarm() -> None:
    tracker = EventTracker(10)
    assert not list(tracker.push(JudgedFrame(Frame(0, 0.0, FRAME), None)))


def test_boxes_are_in_pixels_of_the_source_worst_first() -> None:
    anomaly_map = np.zeros((10, 10), np.float32)
    anomaly_map[1:3, 2:5] = 0.6
    anomaly_map[7:9, 6:8] = 0.9
    assert boxes_of(anomaly_map, (20, 40)) == [(24, 14, 8, 4), (8, 2, 12, 4)]


def test_specks_have_no_box_unless_there_is_nothing_else() -> None:
    anomaly_map = np.zeros((100, 100), np.float32)
    anomaly_map[5, 5] = 0.9
    assert boxes_of(anomaly_map, (100, 100)) == [(5, 5, 1, 1)]
    anomaly_map[50:60, 50:60] = 0.6
    assert boxes_of(anomaly_map, (100, 100)) == [(50, 50, 10, 10)]


@pytest.mark.parametrize(
    ("boxes", "words"),
    [([], "picture as a whole"), ([(24, 14, 8, 4)], r"bottom right \(8x4 pixels\)"), ([(0, 0, 4, 4)], "top left")],
)
def test_reason_says_where(boxes: list, words: str) -> None:
    assert re.search(words, reason_of(0.7, boxes, (20, 40), []))
    assert "score 0.70, threshold 0.50" in reason_of(0.7, boxes, (20, 40), [])


def test_source_that_hangs_is_an_event_of_its_own() -> None:
    """It ends the event that was going on, lasts until the picture moves, and has no score and no box."""
    tracker = EventTracker(10)
    changes = list(tracker.push(judged(0, 0.9)))
    for index in (60, 61, 85):  # frames may come seldom meanwhile
        hung = JudgedFrame(Frame(index, index / 10, FRAME), None, camera="frozen", camera_since=0.1)
        changes += tracker.push(hung)
    changes += [*tracker.push(judged(90, 0.2)), *tracker.push(judged(91, 0.9)), *tracker.finish()]
    assert [(change.what, change.event.kind) for change in changes] == [
        ("began", "abnormal"),
        ("ended", "abnormal"),
        ("began", "camera"),
        ("ended", "camera"),
        ("began", "abnormal"),
        ("ended", "abnormal"),
    ]
    hung = changes[3].event
    assert (hung.start, hung.end, hung.start_frame, hung.end_frame, hung.score, hung.boxes) == (0.1, 8.5, 60, 85, 0, [])
    assert "has not changed for 5.9 s" in hung.reason
    assert hung.camera == "frozen"


def test_each_trouble_of_the_camera_is_an_event_with_its_reason() -> None:
    from anomalib_stmem.model.normal_view import TROUBLES

    tracker = EventTracker(10)
    frames = [
        JudgedFrame(Frame(n, float(n), FRAME), None, camera=one, camera_since=n - 2.0) for n, one in enumerate(TROUBLES)
    ]
    began = [change.event for frame in frames for change in tracker.push(frame) if change.what == "began"]
    assert [event.camera for event in began] == list(TROUBLES)
    assert len({event.reason for event in began}) == len(TROUBLES)


@pytest.mark.parametrize(
    ("odd", "named", "words"),
    [
        ({"motion": 0.5, "speed": -1.0, "looks": 2.0}, ["motion", "looks"], "moves and looks unlike anything"),
        (
            {"motion": 0.5, "speed": 1.0, "looks": 2.0},
            ["motion", "speed", "looks"],
            "moves and looks unlike anything in normal video, and is faster (",
        ),
        ({"motion": -3.0, "speed": 0.1, "looks": -2.0}, ["speed"], "is faster than anything in normal video"),
        ({"motion": -3.0, "speed": -1.0, "looks": -2.0}, ["speed"], "is faster than anything"),  # the oddest at least
        ({}, [], "is not what normal video would have next"),
    ],
)
def test_reason_says_what_is_odd(odd: dict, named: list, words: str) -> None:
    assert what_is_odd(odd) == named
    assert words in reason_of(0.7, [(0, 0, 4, 4)], (20, 40), named)


@pytest.mark.parametrize(("side", "begins"), [(1, False), (3, False), (4, True), (10, True)])
def test_something_too_small_is_no_event(side: int, begins: bool) -> None:
    """A region of at least 16 of 100 pixels is wanted; a second one beside it does not add to it."""
    shown = np.zeros((10, 10), np.float32)
    shown[:side, :side] = 0.9
    shown[9, 9] = 0.9
    tracker = EventTracker(10, least_size=0.16)
    assert bool([*tracker.push(judged(0, 0.9, anomaly_map=shown))]) is begins
    assert largest_region(shown) == pytest.approx(side**2 / 100)


def test_an_event_that_has_begun_may_shrink() -> None:
    large, small = np.full((10, 10), 0.9, np.float32), np.zeros((10, 10), np.float32)
    small[0, 0] = 0.9
    tracker = EventTracker(10, least_size=0.16)
    changes = [
        change
        for index, shown in enumerate((large, small))
        for change in tracker.push(judged(index, 0.9, anomaly_map=shown))
    ]
    assert [change.what for change in changes] == ["began"]
    assert tracker.open.end_frame == 1
