from pathlib import Path

import cv2
import numpy as np
import pytest

from anomalib_stmem.data.scene import ANOMALIES, draw_video, write_scene


def test_normal_video_has_no_abnormal_pixel() -> None:
    assert not any(frame.mask.any() for frame in draw_video(seed=1, num_frames=30))


@pytest.mark.parametrize("kind", ANOMALIES)
def test_each_anomaly_shows_for_part_of_its_video(kind: str) -> None:
    shown = [bool(frame.mask.any()) for frame in draw_video(seed=2, num_frames=100, anomaly=kind)]
    assert 5 < sum(shown) < 80
    assert not shown[0]
    assert not shown[-1]


def test_seed_decides_everything() -> None:
    def pixels(seed: int) -> np.ndarray:
        return np.stack([frame.image for frame in draw_video(seed, 5, "run")])

    np.testing.assert_array_equal(pixels(7), pixels(7))
    assert (pixels(7) != pixels(8)).any()


def test_mask_is_where_the_abnormal_figure_is() -> None:
    """Without noise, removing the figure changes exactly the pixels of the mask, but for anti-aliased edges."""
    with_figure = list(draw_video(3, 60, "throw"))
    without = list(draw_video(3, 60))
    moment = next(i for i, frame in enumerate(with_figure) if frame.mask.any())
    inside = with_figure[moment].mask > 0
    change = np.abs(with_figure[moment].image.astype(int) - without[moment].image).max(axis=-1)
    assert change[inside].mean() > 20


def test_layout_on_disk(tmp_path: Path) -> None:
    write_scene(tmp_path, num_training=1, num_testing=2, num_frames=8)
    assert len(list((tmp_path / "training" / "frames" / "01").glob("*.jpg"))) == 8
    labels = np.load(tmp_path / "testing" / "frame_labels.npy")
    masks = [cv2.imread(str(p), cv2.IMREAD_GRAYSCALE) for p in sorted((tmp_path / "testing" / "masks").rglob("*.png"))]
    assert labels.tolist() == [int(mask.any()) for mask in masks]
    assert {int(v) for mask in masks for v in np.unique(mask)} <= {0, 255}


def test_videos_and_folders_show_the_same(tmp_path: Path) -> None:
    write_scene(tmp_path / "folders", num_training=1, num_testing=0, num_frames=4)
    write_scene(tmp_path / "files", num_training=1, num_testing=0, num_frames=4, as_videos=True)
    still = cv2.imread(str(tmp_path / "folders" / "training" / "frames" / "01" / "000.jpg"))
    _, moving = cv2.VideoCapture(str(tmp_path / "files" / "training" / "frames" / "01.avi")).read()
    assert np.abs(still.astype(int) - moving).mean() < 3
