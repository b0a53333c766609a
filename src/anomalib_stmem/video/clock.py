"""Time stamps as a source has them, made to go on: missing, equal, negative and jumping ones."""

from collections import deque
from statistics import median

from .frame_rate import ASSUMED_RATE

STEPS = 32  # between frames, of which the usual one is the median
NO_STEP = 0.1  # of a usual step; a stamp that goes on by less stands still
JUMP_BACK = 1.0  # seconds; a step back by more is a clock that was set anew, by less is disorder


class Clock:
    """Turns stamps into seconds since the first frame, strictly rising.

    A stamp that is missing, or not above the one before, counts as one usual step. A stamp that jumps back (files that
    were joined, a counter of 33 bits that wraps, a recorder that restarts) goes on one step after the frame before it,
    and is told as a jump. A stamp that jumps ahead is believed: nobody else knows how long nothing was recorded.

    Args:
        frame_rate: frames per second that the source says, if it does.
        origin: stamp that is second 0; by default that of the first frame.
    """

    def __init__(self, frame_rate: float | None = None, origin: float | None = None) -> None:
        self.origin = origin
        self._steps: deque[float] = deque([1 / frame_rate] if frame_rate else [], STEPS)
        self._stamp: float | None = None  # the latest one that went on
        self._frames = 0  # since then
        self._offset = 0.0  # from stamps to seconds
        self.seconds: float | None = None  # of the latest frame
        self.has_jumped = False  # whether the clock was set anew at the latest frame

    @property
    def usual_step(self) -> float:
        """Seconds from a frame to the next."""
        return median(self._steps) if self._steps else 1 / ASSUMED_RATE

    def tick(self, stamp: float | None) -> float:
        """Take the stamp of the next frame; return its seconds."""
        before, self.has_jumped = self.seconds, False
        if before is None:
            self._stamp = stamp
            self.origin = (stamp or 0.0) if self.origin is None else self.origin
            self._offset = -self.origin
            self.seconds = 0.0 if stamp is None else stamp + self._offset
            return self.seconds
        self._frames += 1
        usual = self.usual_step
        if stamp is None:
            self.seconds = before + usual
            return self.seconds
        self.has_jumped = self._stamp is not None and stamp < self._stamp - JUMP_BACK
        if self.has_jumped or self._stamp is None:
            self._offset = before + usual - stamp
            self._stamp, self._frames = stamp, 0
        step = stamp - self._stamp
        goes_on = step > NO_STEP * usual
        if goes_on:
            self._steps.append(step / self._frames)
            self._stamp, self._frames = stamp, 0
        own = stamp + self._offset
        if own - before > NO_STEP * usual:
            self.seconds = own
        else:  # half a step where the stamps are behind, so that they catch up
            self.seconds = before + usual * (0.5 if goes_on else 1.0)
        return self.seconds
