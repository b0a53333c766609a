"""From the levels of normal video and a budget of false alarms to a threshold, and what can be expected of it.

What counts is how often normal video would raise an alarm, so the threshold rests on **peaks**: the highest level of
each run above a base level. Above it, the tail of the peaks is a generalised Pareto distribution (Pickands 1975), which
also says what to expect of a threshold that no normal video has reached.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import genpareto

from ..model.calibration import MOST_PEAKS, foretold
from .events import Timeline, event_numbers

PEAKS = 30  # from which the tail is fitted
SHAPES = (-0.5, 0.2)  # between which the shape of the tail is kept: so few peaks would allow any
DRAWS = 1000  # of the bootstrap
ALIKE = 2.0  # shape of the gamma distribution of how busy other hours are (docs/results.md, "Hours of a room")
SURE = 0.9  # probability that an interval holds the truth

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tail:
    """How high the levels of normal video go, and how often."""

    peaks: Array  # (k,), above ``base``, highest first
    base: float  # level
    hours: float  # of normal video

    def excess(self) -> tuple[float, float]:
        """Fit the generalised Pareto distribution of ``peaks - base``: shape and scale."""
        return fit_excess(self.peaks - self.base)

    def joined(self, other: "Tail") -> "Tail":
        """Put the peaks of two stretches of video together; at most :data:`MOST_PEAKS` are kept."""
        base = max(self.base, other.base)
        peaks = np.sort(np.concatenate([self.peaks, other.peaks]))[::-1]
        if int((peaks > base).sum()) > MOST_PEAKS:
            base = float(peaks[MOST_PEAKS])
        return Tail(peaks[peaks > base], base, self.hours + other.hours)

    def with_peaks(self, peaks: Sequence[float]) -> "Tail":
        """Add peaks of the same video; those below ``base`` say nothing."""
        return replace(self, peaks=np.sort([*self.peaks, *(peak for peak in peaks if peak > self.base)])[::-1])

    def rate(self, threshold: float) -> float:
        """Expect so many false alarms per hour above a threshold; one below ``base`` is taken as ``base``."""
        shape, scale = self.excess()
        return float(len(self.peaks) / self.hours * genpareto.sf(max(0.0, threshold - self.base), shape, scale=scale))

    def threshold(self, per_hour: float) -> float:
        """Return the level that ``per_hour`` false alarms per hour exceed; never below ``base``.

        No rarer than once in the time that so much video foretells
        (:func:`~anomalib_stmem.model.calibration.foretold`): from very little of it a threshold comes out that rather
        finds too much than too little.
        """
        rate = max(per_hour, 1 / foretold(self.hours))
        share = rate * self.hours / max(1, len(self.peaks))
        if share >= 1 or not len(self.peaks):
            return self.base
        shape, scale = self.excess()
        return float(self.base + genpareto.isf(share, shape, scale=scale))

    def interval(self, threshold: float) -> tuple[float, float]:
        """Return between which false alarms per hour the truth is with probability :data:`SURE`.

        By drawing how busy other hours are, the number of peaks, and peaks with replacement. Where no peak is above the
        threshold, it is the rule of three that says what the video is too short to tell.
        """
        rng, count = np.random.default_rng(0), len(self.peaks)
        rates = np.zeros(DRAWS)
        for draw in range(DRAWS):
            busy = rng.gamma(ALIKE) / ALIKE
            drawn = rng.choice(self.peaks, rng.poisson(busy * count)) if count else self.peaks
            rates[draw] = Tail(drawn, self.base, self.hours).rate(threshold) if len(drawn) else 0.0
        low, high = np.quantile(rates, ((1 - SURE) / 2, (1 + SURE) / 2))
        unseen = -math.log((1 - SURE) / 2) / self.hours if not (self.peaks > threshold).any() else 0.0
        return float(low), float(max(high, unseen))


def fit_excess(excess: Array) -> tuple[float, float]:
    """Fit a generalised Pareto distribution to ``(k,)`` values above 0: shape and scale.

    By probability-weighted moments (Hosking & Wallis 1987), which beat the maximum of the likelihood for so few values.
    """
    if len(excess) < 3 or excess.max() <= 0:
        return 0.0, max(1e-9, float(excess.mean())) if len(excess) else 1e-9
    ordered = np.sort(excess)
    weights = (len(excess) - np.arange(1, len(excess) + 1)) / (len(excess) - 1)
    mean, weighted = float(ordered.mean()), float((weights * ordered).mean())
    shape = 2 - mean / (mean - 2 * weighted) if mean > 2 * weighted else SHAPES[0]
    shape = min(max(shape, SHAPES[0]), SHAPES[1])
    return shape, max(1e-9, mean * (1 - shape))


def tail_of(levels: Array, timeline: Timeline) -> Tail:
    """Find the peaks of normal video.

    Args:
        levels: ``(n,)``; not finite at the start of a video, where there are none.
        timeline: where they are.
    """
    known = np.isfinite(levels)
    candidates = np.unique(np.quantile(levels[known], 1 - np.geomspace(1e-5, 0.5, 300)))[::-1]
    base = candidates[-1]
    for level in candidates:
        if event_numbers(levels > level, timeline).max(initial=-1) + 1 >= PEAKS:
            base = level
            break
    numbers = event_numbers(levels > base, timeline)
    peaks = np.array([levels[numbers == number].max() for number in range(numbers.max(initial=-1) + 1)])
    return Tail(np.sort(peaks)[::-1], float(base), timeline.hours)
