"""Which frames are put forward, and that every frame is counted once."""

from collections.abc import Sequence

import numpy as np
import pytest
from makers import picture

from anomalib_stmem.video.choosing import Tally, chosen_frames
from anomalib_stmem.video.damage import Damage
from anomalib_stmem.video.frame import Frame
from anomalib_stmem.video.frame_rate import FramePicker

SIZE = (48, 64)


class Shown:
    """A decoder of pictures in memory."""

    follows_gap, share_read, file = False, 0.5, None

    def __init__(self, numbers: Sequence[int], rate: float, damaged: Sequence[int] = ()) -> None:
        self.frame_rate, self.damage = rate, Damage()
        self._numbers, self._damaged, self._place = numbers, damaged, -1

    def advance(self) -> bool:
        self._place += 1
        return self._place < len(self._numbers)

    def picture(self) -> np.ndarray:
        return picture(90, self._numbers[self._place], SIZE)

    @property
    def seconds(self) -> float:
        return self._place / self.frame_rate

    @property
    def is_damaged(self) -> bool:
        return self._place in self._damaged


def choose(
    numbers: Sequence[int], rate: float, wanted: float | None = None, damaged: Sequence[int] = ()
) -> tuple[list[Frame], Tally]:
    decoder, tally = Shown(numbers, rate, damaged), Tally()
    picker = FramePicker(wanted, rate)
    return list(chosen_frames(decoder, picker, lambda seconds: seconds, tally, lambda: True)), tally


def test_every_frame_is_judged_or_counted_under_one_reason() -> None:
    numbers = [number // 2 for number in range(60)] + list(range(30, 60))
    frames, tally = choose(numbers, 20, wanted=10, damaged=[7, 20, 21, 50])
    assert tally.read == 90
    assert len(frames) + tally.skipped + tally.repeated + tally.damaged == 90
    assert [frame.index for frame in frames] == sorted({frame.index for frame in frames})


def test_rate_stored_too_high_is_seen_through() -> None:
    """5 pictures per second, stored as 10, of a camera that was trained at 5 or whose rate nobody knows."""
    numbers = [number // 2 for number in range(100)]
    frames, tally = choose(numbers, 10)
    assert [frame.index for frame in frames[2:]] == list(range(4, 100, 2))
    assert tally.rate == pytest.approx(5)
    assert tally.source_rate == pytest.approx(10)
    assert not any(frame.follows_gap or frame.is_late for frame in frames[3:])
    assert all(frame.num_repeats == 1 for frame in frames[3:])


def test_frame_after_a_repeat_shows_two_steps_and_is_late() -> None:
    numbers = list(range(70))
    numbers[6::7] = numbers[5::7]
    frames, tally = choose(numbers, 10)
    assert tally.repeated == 10
    late = [frame.index for frame in frames if frame.is_late]
    assert late == list(range(7, 70, 7))
    assert not any(frame.follows_gap for frame in frames)


def test_frame_after_a_lost_one_shows_two_steps_and_is_late() -> None:
    class Losing(Shown):
        @property
        def seconds(self) -> float:
            return (self._place + self._place // 6) / 10  # after six frames one is lost

    decoder, tally = Losing(range(60), 10), Tally()
    picker = FramePicker(10, 10)
    frames = list(chosen_frames(decoder, picker, lambda seconds: seconds, tally, lambda: True))
    assert [frame.index for frame in frames if frame.is_late] == list(range(6, 60, 6))
    assert not any(frame.follows_gap for frame in frames)


def test_damaged_frame_is_left_out_and_what_follows_starts_anew() -> None:
    frames, tally = choose(range(30), 10, damaged=[10, 11])
    assert (len(frames), tally.damaged) == (28, 2)
    assert [frame.index for frame in frames if frame.follows_gap] == [12]


def test_what_finds_no_room_is_dropped_unseen_and_what_follows_starts_anew() -> None:
    class Unseen(Shown):
        def picture(self) -> np.ndarray:
            assert not 10 <= self._place < 20
            return super().picture()

    decoder, tally = Unseen(range(30), 10), Tally()
    now = {"frame": 0.0}
    seen = lambda seconds: now.update(frame=seconds) or seconds  # noqa: E731
    room = lambda: not 0.95 < now["frame"] < 1.95  # noqa: E731
    frames = list(chosen_frames(decoder, FramePicker(10, 10), seen, tally, lambda: True, has_room=room))
    assert (len(frames), tally.dropped, tally.read) == (20, 10, 30)
    (anew,) = [frame for frame in frames if frame.follows_gap]
    assert (anew.index, anew.is_late) == (20, False)


def test_frozen_source_is_told_and_starts_anew() -> None:
    numbers = [*range(40), *[39] * 80, *range(41, 60)]
    frames, tally = choose(numbers, 10)
    frozen = [frame for frame in frames if frame.frozen_since is not None]
    assert [frame.index for frame in frozen] == list(range(89, 120))
    assert {frame.frozen_since for frame in frozen} == {3.9}
    assert tally.repeated == 80
    (anew,) = [frame for frame in frames if frame.follows_gap]
    assert anew.index == 120


def test_variable_rate_is_taken_by_time_stamps() -> None:
    """25 per second by day, 12.5 by night: neither is a gap, once it is usual."""

    class DayAndNight(Shown):
        @property
        def seconds(self) -> float:
            return min(self._place, 100) / 25 + max(0, self._place - 100) / 12.5

    decoder, tally = DayAndNight(range(200), 25), Tally()
    picker = FramePicker(12.5, 25)
    frames = list(chosen_frames(decoder, picker, lambda seconds: seconds, tally, lambda: True))
    night = [frame for frame in frames if frame.index > 135]
    assert [frame.index for frame in night] == list(range(136, 200))
    assert not any(frame.follows_gap for frame in night)
    assert [frame.index for frame in frames if frame.index <= 100] == list(range(0, 101, 2))
