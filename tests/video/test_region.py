"""What counts of the picture: polygons, paint, and what is wrong with either."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from anomalib_stmem.video.region import outlines, region_of

SIZE = 40, 60
PICTURE = np.random.default_rng(0).integers(0, 255, (80, 120, 3), np.uint8)


def painted(path: Path, paint: tuple[int, int, int] = (0, 0, 255), base: np.ndarray = PICTURE) -> str:
    picture = np.minimum(base, 170) if base is PICTURE else base.copy()
    picture[:20, :60] = paint
    cv2.imwrite(str(path), picture)
    return str(path)


def test_without_options_everything_counts() -> None:
    assert region_of(SIZE, None, None).all()


def test_polygons_are_fractions_of_the_picture() -> None:
    region = region_of(SIZE, "0,0 0.5,0 0.5,0.25 0,0.25; 0.9,0.9 1,0.9 1,1 0.9,1", None)
    assert not region[:10, :30].any()
    assert not region[36:, 54:].any()
    assert region.sum() == pytest.approx(SIZE[0] * SIZE[1] - 300 - 24, abs=45)  # with their borders
    assert (region_of(SIZE, None, "0,0 0.5,0 0.5,0.25 0,0.25")[:10, :30]).all()


def test_ignore_comes_after_only() -> None:
    region = region_of(SIZE, "0,0 0.5,0 0.5,1 0,1", "0,0 1,0 1,0.5 0,0.5")
    assert region[:19, 32:].all()
    assert region.sum() == pytest.approx(20 * 30, abs=60)


@pytest.mark.parametrize("name", ["m.png", "m.jpg"])
def test_red_paint_is_found_on_a_picture_of_any_size(tmp_path: Path, name: str) -> None:
    region = region_of(SIZE, painted(tmp_path / name), None)
    assert not region[:9, :29].any()
    assert region[11:].all()
    assert region[:, 31:].all()


def test_white_on_black_is_a_mask_too(tmp_path: Path) -> None:
    path = painted(tmp_path / "m.png", (255, 255, 255), np.zeros((80, 120, 3), np.uint8))
    assert region_of(SIZE, None, path).sum() == 10 * 30


def test_outlines_tell_the_region_again() -> None:
    region = region_of(SIZE, "0.1,0.1 0.6,0.1 0.6,0.9 0.1,0.9", "0,0 0.95,0 0.95,1 0,1")
    again = "; ".join(" ".join(f"{x},{y}" for x, y in polygon) for polygon in outlines(region))
    assert (region_of(SIZE, again, None) == region).all()
    assert outlines(np.ones(SIZE, bool)) == []


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ignore '0,0 1,1' is no polygon: it needs three or more corners"):
        region_of(SIZE, "0,0 1,1", None)
    with pytest.raises(ValueError, match="values from 0 to 1"):
        region_of(SIZE, None, "0,0 1,0 1,40")
    with pytest.raises(ValueError, match="Nothing of the picture is left to be judged"):
        region_of(SIZE, "0,0 1,0 1,1 0,1", None)
    with pytest.raises(FileNotFoundError, match=r"no file .*gate.png, which only names. Paint on the picture of"):
        region_of(SIZE, None, "gate.png")
    with pytest.raises(ValueError, match=r"Nothing in .*plain.png, which ignore names, is painted red"):
        region_of(SIZE, painted(tmp_path / "plain.png", (90, 90, 90)), None)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ValueError, match="is no picture"):
        region_of(SIZE, str(tmp_path / "text.png"), None)
    with pytest.raises(ValueError, match="Everything in it would be squashed"):
        region_of(SIZE, painted(tmp_path / "m.png"), None, trained_at=1.0)
