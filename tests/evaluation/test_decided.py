"""Whole videos are decided as streams are, frame by frame."""

import numpy as np
import pytest

from anomalib_stmem.evaluation.decided import alarms, decide, held_level, levels, stretches
from anomalib_stmem.evaluation.events import Timeline
from anomalib_stmem.model.calibration import squash
from anomalib_stmem.model.decision import OFF, Decision, Rule


def some_video(seed: int) -> tuple[np.ndarray, Timeline]:
    """Scores of up to three videos, of which frames are missing."""
    rng = np.random.default_rng(seed)
    videos = np.sort(rng.integers(0, 3, rng.integers(1, 80)))
    frames = np.concatenate(
        [np.cumsum(rng.choice([1, 1, 1, 1, 3], (videos == one).sum())) for one in np.unique(videos)]
    )
    rate = float(rng.choice([2.5, 10.0, 25.0]))
    return rng.random(len(videos)), Timeline(videos, frames, np.full(len(videos), rate))


@pytest.mark.parametrize("seed", range(40))
def test_whole_videos_are_decided_as_a_stream_is(seed: int) -> None:
    scores, timeline = some_video(seed)
    rule = Rule.at_rate(timeline.rates[0], 0.6, 0.45, least_seconds=0.3 * (seed % 2))
    decision, expected, level = Decision(rule), [], []
    for place, score in enumerate(scores):
        if any(rows.start == place for rows in stretches(timeline)):
            decision.reset()
        expected.append(decision.push(float(score)))
        level.append(decision.level)
    found = levels(scores, timeline)
    np.testing.assert_array_equal(np.maximum(found, 0), level)
    assert alarms(found, timeline, rule).tolist() == expected


def test_it_does_not_matter_whether_scores_are_raw_or_calibrated() -> None:
    scores, timeline = some_video(3)
    import torch

    usual, threshold = 0.3, 0.7
    calibrated = squash(torch.from_numpy(scores), torch.tensor(usual), torch.tensor(threshold)).numpy()
    raw = alarms(levels(scores, timeline), timeline, Rule(on=threshold, off=held_level(usual, threshold)))
    assert decide(calibrated, timeline).tolist() == raw.tolist()
    off = float(squash(torch.tensor(held_level(usual, threshold)), torch.tensor(usual), torch.tensor(threshold)))
    assert off == pytest.approx(OFF)
