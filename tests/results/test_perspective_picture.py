from pathlib import Path

import cv2
import numpy as np

from anomalib_stmem.results.perspective_picture import draw_perspective


def test_picture_and_curves_lie_side_by_side(tmp_path: Path) -> None:
    usual = {"error": np.linspace(0.2, 2, 48, dtype=np.float32), "speed": np.ones(48, np.float32)}
    draw_perspective(np.full((48, 64, 3), (0, 200, 0), np.uint8), usual, tmp_path / "perspective.png")
    drawn = cv2.imread(str(tmp_path / "perspective.png"))
    green = (drawn == (0, 200, 0)).all(axis=2)
    assert green[:, : drawn.shape[1] // 2].mean() > 0.5
    assert not green[:, 2 * drawn.shape[1] // 3 :].any()
