import pytest
import torch

from anomalib_stmem.evaluation.controls import CONTROLS, IN_PERSPECTIVE, control_scores
from anomalib_stmem.evaluation.optical_flow import optical_flow
from anomalib_stmem.model.perspective import Perspective


def test_controls_are_what_they_say() -> None:
    clips = torch.rand(3, 6, 3, 32, 32) * 2 - 1
    perspective = Perspective(("motion", "flow"))
    scores = control_scores(clips, torch.tensor([5, 6, 40]), perspective)
    assert set(scores) == set(CONTROLS)
    torch.testing.assert_close(scores["optical flow in perspective"], scores["optical flow"])  # nothing was learned
    assert set(control_scores(clips, torch.tensor([5, 6, 40]))) == set(CONTROLS) - set(IN_PERSPECTIVE)
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


def test_perspective_makes_far_and_near_alike() -> None:
    perspective = Perspective(("motion", "flow"))
    perspective.slope.fill_(3.0)
    perspective.centre.fill_(0.5)
    clips = torch.zeros(2, 2, 1, 64, 64)
    clips[0, -1, :, 8:14, 20:26] = 0.2 * 2.718281828 ** (3 * (11 / 64 - 0.5) / 2)
    clips[1, -1, :, 48:54, 20:26] = 0.2 * 2.718281828 ** (3 * (51 / 64 - 0.5) / 2)
    scores = control_scores(clips, torch.tensor([5, 5]), perspective)
    assert float(scores["patch of frame difference"][1]) > 3 * float(scores["patch of frame difference"][0])
    far, near = scores["patch of frame difference in perspective"].tolist()
    assert far == pytest.approx(near, rel=0.05)


def test_optical_flow_is_the_way_that_a_picture_moved() -> None:
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    before, frame = (((0.3 * rows).sin() + (0.25 * (columns - way)).sin())[None, None] / 2 for way in (0, 2))
    assert float(optical_flow(frame, before).median()) == pytest.approx(2, abs=0.2)
