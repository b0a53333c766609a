from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from anomalib_stmem import ClipVisualizer
from anomalib_stmem.shell.batch import JudgedBatch
from anomalib_stmem.shell.visualizer import draw, picture


def batch(channels: int = 3, truth: bool = True, first: int = 24) -> JudgedBatch:
    size = 3
    judged = JudgedBatch(
        image=torch.zeros(size, 6, channels, 16, 24),
        gt_label=torch.tensor([False, True, False]) if truth else None,
        gt_mask=torch.zeros(size, 16, 24, dtype=torch.bool) if truth else None,
        video_path=["a/01.avi", "a/01.avi", "b/01.avi"],
        video_name=["a/01", "a/01", "b/01"],
        frames=torch.arange(first, first + size),
    )
    return judged.update(
        pred_score=torch.tensor([0.2, 0.9, 0.4]),
        pred_label=torch.tensor([False, True, False]),
        anomaly_map=torch.rand(size, 1, 16, 24),
        prediction=torch.zeros(size, channels, 16, 24),
        measurements=torch.zeros(size, 10),
    )


def test_highest_and_every_nth_frame_are_saved(tmp_path: Path) -> None:
    visualizer = ClipVisualizer(every=25)
    trainer = SimpleNamespace(default_root_dir=tmp_path, world_size=1)
    visualizer.on_test_batch_end(trainer, None, batch())
    visualizer.on_test_end(trainer, None)
    saved = sorted(str(path.relative_to(tmp_path / "images")) for path in tmp_path.rglob("*.png"))
    assert saved == ["a/01/00025.png", "a/01_highest.png", "b/01_highest.png"]


def test_every_zero_saves_only_the_highest(tmp_path: Path) -> None:
    visualizer = ClipVisualizer(every=0, output_dir=tmp_path / "here")
    visualizer.on_predict_batch_end(SimpleNamespace(default_root_dir=tmp_path, world_size=1), None, batch(truth=False))
    visualizer.on_predict_end(SimpleNamespace(default_root_dir=tmp_path, world_size=1), None)
    assert len(list((tmp_path / "here").rglob("*_highest.png"))) == 2
    assert not list(tmp_path.rglob("0*/*.png"))


@pytest.mark.parametrize(("channels", "truth", "panels"), [(3, True, 5), (1, False, 4)])
def test_row_of_panels(channels: int, truth: bool, panels: int) -> None:
    image = draw(picture(batch(channels, truth), 1, 25))
    assert image.size == (256 * panels, 256)


def test_panel_c_marks_pixels_above_the_mean_error() -> None:
    """Fig. 7(c): one pixel is predicted wrong, so it alone is above the mean."""
    judged = batch()
    judged.prediction[1, :, 8, 12] = 1.0
    shown = picture(judged, 1, 25)
    above = shown.error > shown.error.mean()
    assert above.nonzero().tolist() == [[8, 12]]


def test_negative_every_is_refused() -> None:
    with pytest.raises(ValueError, match="every must be 0"):
        ClipVisualizer(every=-1)
