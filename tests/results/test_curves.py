from pathlib import Path

import pandas as pd

from anomalib_stmem.results.curves import draw_curves, draw_roc


def test_every_video_has_a_curve_of_its_own(tmp_path: Path) -> None:
    """One stem in two folders: before, numbers kept them apart; now their names do."""
    frames = pd.DataFrame({"video": ["gate/01"] * 3 + ["yard/01"] * 3, "frame": [5, 6, 7] * 2, "pred_score": 0.5})
    draw_curves(frames, tmp_path)
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    assert found == ["gate/01.png", "yard/01.png"]


def test_roc_shows_the_errors_that_there_are(tmp_path: Path) -> None:
    frames = pd.DataFrame({"label": [0, 1, 0, 1], "psnr_frame_sum": [3.0, 1.0, 2.0, 1.5], "speed": [1, 3, 2, 4]})
    frames["score"] = -frames.psnr_frame_sum
    draw_roc(frames, "frame", ("motion", "speed"), tmp_path / "roc.png")
    assert (tmp_path / "roc.png").stat().st_size > 1000
    draw_roc(frames.assign(label=0), "frame", ("motion",), tmp_path / "none.png")  # one class only
    assert not (tmp_path / "none.png").exists()
