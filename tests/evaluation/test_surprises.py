"""Which moments of normal video a person is shown."""

import numpy as np
import pytest
import torch

from anomalib_stmem.evaluation import surprises
from anomalib_stmem.evaluation.calibration import CalibrationFrames
from anomalib_stmem.evaluation.events import Timeline


def test_the_highest_moments_come_first_and_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = torch.zeros(200)
    levels[[20, 22, 120, 180]] = torch.tensor([5.0, 4.0, 6.0, 1.0])  # 22 is of the same moment as 20
    videos = np.repeat([0, 1], 100)
    timeline = Timeline(videos, np.tile(np.arange(100), 2), np.full(200, 10.0), names=("gate", "yard"))
    monkeypatch.setattr(surprises, "levels_of", lambda _head, frames: frames.measurements[:, 0])
    found = surprises.most_surprising(None, [CalibrationFrames(levels[:, None], torch.zeros(200, 2), timeline)])
    assert [(one.video, one.frame, one.level) for one in found[:3]] == [
        ("yard", 20, 6.0),
        ("gate", 20, 5.0),
        ("yard", 80, 1.0),
    ]
