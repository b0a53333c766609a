from pathlib import Path

import cv2
import numpy as np
import pytest

from anomalib_stmem.data import pasted
from anomalib_stmem.data.pasted import KINDS, cut_out, paste, read_clip, write_pasted

HEIGHT, WIDTH, FRAMES = 120, 160, 60
ROW, SPEED = 60, 2  # of the walker's middle; pixels per frame


def walkway() -> np.ndarray:
    """A dark figure, 24 by 12 pixels, that walks to the right before a grey, slightly uneven wall."""
    rng = np.random.default_rng(0)
    wall = rng.integers(150, 160, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    clip = np.repeat(wall[None], FRAMES, axis=0)
    for number in range(FRAMES):
        left = 8 + SPEED * number
        clip[number, ROW - 12 : ROW + 12, left : left + 12] = 40
    return clip


@pytest.fixture
def normal_dir(tmp_path: Path) -> Path:
    for name in ("01", "02"):
        folder = tmp_path / "normal" / name
        folder.mkdir(parents=True)
        for number, frame in enumerate(walkway()):
            cv2.imwrite(str(folder / f"{number:03d}.png"), frame)
    return tmp_path / "normal"


def test_walker_is_cut_out_with_his_velocity() -> None:
    (walker,) = cut_out(walkway())
    assert walker.centre[0] == pytest.approx(ROW, abs=1)
    assert walker.velocity == pytest.approx((0, SPEED), abs=0.1)
    picture, opacity = walker.pictures[10], walker.opacities[10]
    assert picture[opacity > 0.99].mean() < 100  # the figure and not the wall
    assert 24 * 12 < opacity.sum() < 2.2 * 24 * 12


def where(mask: np.ndarray) -> float:
    """Column of the middle of a mask."""
    return float(np.nonzero(mask)[1].mean())


@pytest.mark.parametrize(("kind", "speed"), [("run", 2), ("glide_fast", 3), ("large", 1)])
def test_pasted_person_moves_as_his_kind_does_and_is_masked(kind: str, speed: int) -> None:
    (walker,) = cut_out(walkway())
    clip = np.full((FRAMES, HEIGHT, 400, 3), 150, np.uint8)
    mask = np.zeros(clip.shape[:3], np.uint8)
    paste(clip, mask, walker, KINDS[kind], start=10)
    assert not mask[:10].any()
    assert where(mask[40]) - where(mask[30]) == pytest.approx(10 * speed * SPEED, abs=1)
    area = (mask[40] > 0).sum()
    assert area == pytest.approx((walker.opacities[0] > 0.5).sum() * KINDS[kind].size ** 2, rel=0.1)
    changed = (clip[40] != 150).any(axis=-1)
    assert changed[mask[40] > 0].mean() > 0.9
    assert not changed[cv2.dilate(mask[40], np.ones((15, 15))) == 0].any()


def test_normal_walker_is_pasted_without_mask() -> None:
    (walker,) = cut_out(walkway())
    clip, mask = np.full((FRAMES, HEIGHT, WIDTH, 3), 150, np.uint8), np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    paste(clip, mask, walker, KINDS["walk"], start=0)
    assert (clip != 150).any()
    assert not mask.any()


def test_written_videos_have_masks_where_their_kind_is_abnormal(normal_dir: Path, tmp_path: Path) -> None:
    out = write_pasted(normal_dir, tmp_path / "out", ["02"], versions=1)
    frames = sorted(path.name for path in (out / "testing" / "frames").iterdir())
    assert frames == sorted(f"02_{kind}_0" for kind in KINDS)
    for kind, motion in KINDS.items():
        clip = read_clip(out / "testing" / "frames" / f"02_{kind}_0")
        masks = read_clip(out / "testing" / "masks" / f"02_{kind}_0")
        assert clip.shape == masks.shape == (FRAMES, HEIGHT, WIDTH, 3)
        assert masks.any() != motion.is_normal
    again = write_pasted(normal_dir, tmp_path / "again", ["02"], versions=1)
    first, second = (read_clip(folder / "testing" / "frames" / "02_run_0") for folder in (out, again))
    np.testing.assert_array_equal(first, second)


def test_videos_of_an_earlier_run_are_not_mixed_with_new_ones(normal_dir: Path, tmp_path: Path) -> None:
    write_pasted(normal_dir, tmp_path / "out", ["02"], versions=1)
    with pytest.raises(ValueError, match="is there already"):
        write_pasted(normal_dir, tmp_path / "out", ["01"], versions=1)


def test_unknown_video_is_named(normal_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"No video '07' in .*; there are 01, 02"):
        write_pasted(normal_dir, tmp_path / "out", ["07"])


def test_nobody_to_cut_out_is_said(normal_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pasted, "MIN_FRAMES", FRAMES + 1)
    with pytest.raises(ValueError, match="Nobody could be cut out"):
        write_pasted(normal_dir, tmp_path / "out", ["02"])
