"""The moments of normal video with the highest scores: what a person should look at, whether it is normal."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..model.scoring import ScoreHead
from .calibration import CalibrationFrames, levels_of

MOST = 8
APART = 5.0  # seconds


class Surprise(NamedTuple):
    """A moment of normal video."""

    video: str
    frame: int
    level: float  # as the threshold is


def most_surprising(head: ScoreHead, judged: Sequence[CalibrationFrames]) -> list[Surprise]:
    """Find the highest moments, at least :data:`APART` from each other, the highest first.

    Args:
        head: of the model.
        judged: frames whose timelines have names.
    """
    found: list[Surprise] = []
    for frames in judged:
        timeline, levels = frames.timeline, np.asarray(levels_of(head, frames), float).copy()
        for _ in range(min(MOST, len(levels))):
            peak = int(np.nanargmax(levels)) if np.isfinite(levels).any() else 0
            if not np.isfinite(levels[peak]):
                break
            found.append(
                Surprise(timeline.names[timeline.videos[peak]], int(timeline.frames[peak]), float(levels[peak]))
            )
            near = np.abs(timeline.frames - timeline.frames[peak]) < APART * timeline.rates[peak]
            levels[near & (timeline.videos == timeline.videos[peak])] = -np.inf
    return sorted(found, key=lambda one: -one.level)[:MOST]
