import pytest
import torch

from anomalib_stmem.evaluation.controls import CONTROLS, control_scores


def test_controls_are_what_they_say() -> None:
    clips = torch.rand(3, 6, 3, 32, 32) * 2 - 1
    scores = control_scores(clips, torch.tensor([5, 6, 40]))
    assert tuple(scores) == CONTROLS
    last, before = (clips[:, -1] + 1) / 2, (clips[:, -2] + 1) / 2
    for i in range(3):
        assert float(scores["constant"][i]) == 0
        assert float(scores["frame difference"][i]) == pytest.approx(
            float(((last[i] - before[i]) ** 2).mean()), rel=1e-4
        )
        assert float(scores["darkness"][i]) == pytest.approx(1 - float(last[i].mean()), rel=1e-4)
    assert scores["frame index"].tolist() == [5, 6, 40]


def test_patch_control_finds_a_small_change() -> None:
    clips = torch.zeros(2, 6, 1, 64, 64)
    clips[0, -1] += 0.02
    clips[1, -1, :, 30:35, 30:35] += 0.2
    scores = control_scores(clips, torch.tensor([5, 5]))["patch of frame difference"]
    assert scores[1] > scores[0]
