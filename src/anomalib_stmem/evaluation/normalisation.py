"""Putting scores of several videos on one scale, and smoothing them: named choices, in a fixed order.

A score is first normalised, then smoothed, both within its video. The order matters: on published scores of another
method, smoothing first cost 3 points on Ped2.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

Array = NDArray[np.float64]
Normalisation = Literal["none", "calibrated", "running", "per_video"]
Smoothing = Literal["none", "causal", "centred"]

NORMALISATIONS: tuple[Normalisation, ...] = ("none", "calibrated", "running", "per_video")
SMOOTHINGS: tuple[Smoothing, ...] = ("none", "causal", "centred")
CAUSAL_SHARE = 0.2  # of the new frame in a causal average; fixed beforehand
CENTRED_SIGMA = 5.0  # frames; fixed beforehand


def bounds(values: Array, how: Normalisation, calibrated: tuple[float, float] | None = None) -> tuple[Array, Array]:
    """Return the bounds of ``g`` in Eq. (16) for every frame of one video.

    Args:
        values: ``(n,)`` of one video, in order.
        how: ``none`` (0 and 1: values stay as they are); ``calibrated`` (from normal video, the same for all);
            ``running`` (least and greatest value so far: causal, poor at the start of a video); ``per_video`` (of the
            whole video: the field's habit, an oracle that no live camera has).
        calibrated: bounds from normal video; without them ``calibrated`` leaves values as they are.

    Raises:
        ValueError: another choice.
    """
    if how == "running":
        return np.minimum.accumulate(values), np.maximum.accumulate(values)
    if how == "per_video":
        return np.full(len(values), values.min()), np.full(len(values), values.max())
    if how not in NORMALISATIONS:
        msg = f"normalisation must be one of {NORMALISATIONS}; got {how!r}."
        raise ValueError(msg)
    lower, upper = calibrated if how == "calibrated" and calibrated is not None else (0.0, 1.0)
    return np.full(len(values), lower), np.full(len(values), upper)


def normalise(values: Array, how: Normalisation, calibrated: tuple[float, float] | None = None) -> Array:
    """Map ``(n,)`` values of one video by ``g``: 0 at the lower bound, 1 at the upper; 0 where they coincide."""
    lower, upper = bounds(values, how, calibrated)
    span = upper - lower
    return np.where(span > 0, (values - lower) / np.where(span > 0, span, 1), 0.0)


def smooth(scores: Array, how: Smoothing) -> Array:
    """Smooth ``(n,)`` scores of one video.

    ``causal`` is the running average ``s_t = 0.8 s_(t-1) + 0.2 x_t`` from ``s_0 = x_0``; ``centred`` a Gaussian of 5
    frames with reflected ends, which needs the frames to come. Neither pads with zeros, so a constant stays constant:
    with zeros the score becomes a function of the place in the video, and a constant reaches 77 % on ShanghaiTech.

    Raises:
        ValueError: another choice.
    """
    if how == "none":
        return scores
    if how == "causal":
        return pd.Series(scores).ewm(alpha=CAUSAL_SHARE, adjust=False).mean().to_numpy()
    if how == "centred":
        return gaussian_filter1d(scores, CENTRED_SIGMA, mode="reflect")
    msg = f"smoothing must be one of {SMOOTHINGS}; got {how!r}."
    raise ValueError(msg)


def by_video(scores: Array, videos: NDArray[np.int64], change: Callable[[Array], Array]) -> Array:
    """Apply a change to the scores of each video by itself; ``(n,)`` rows are in the order of their frames."""
    changed = np.empty(len(scores))
    for video in np.unique(videos):
        own = videos == video
        changed[own] = change(scores[own])
    return changed
