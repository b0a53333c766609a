from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
from makers import square_masks, write_mask_images, write_mat

from anomalib_stmem.data.masks import open_masks


@pytest.mark.parametrize("kind", ["images", "npy", "mat"])
def test_every_form_gives_the_same_masks(tmp_path: Path, kind: str) -> None:
    masks = square_masks(5, [1, 4])
    path = tmp_path / f"m.{kind}"
    if kind == "images":
        write_mask_images(path, masks, "frame{:03d}.bmp")
    elif kind == "npy":
        np.save(path, masks)
    else:
        write_mat(path, masks)
    opened = open_masks(path)
    assert len(opened) == 5
    np.testing.assert_array_equal(np.stack([opened[frame] for frame in range(5)]), masks > 0)


@pytest.mark.parametrize(
    "image",
    [
        np.array([[0, 1], [0, 0]], np.uint8),
        np.array([[0, 1], [0, 0]], np.uint16),
        np.array([[[0, 0, 0, 255], [1, 0, 0, 255]], [[0, 0, 0, 255], [0, 0, 0, 255]]], np.uint8),
    ],
    ids=["grey", "16 bits", "with alpha"],
)
def test_any_value_above_zero_is_abnormal(tmp_path: Path, image: np.ndarray) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), image)
    assert open_masks(tmp_path)[0].tolist() == [[False, True], [False, False]]


def test_unreadable_mask_is_named(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"0\.png cannot be decoded"):
        open_masks(tmp_path)[0]


def test_mat_without_masks_is_named(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "1_label.mat", {"gt": 1})
    with pytest.raises(ValueError, match=r"1_label\.mat holds \['gt'\].*volLabel"):
        open_masks(tmp_path / "1_label.mat")


def test_mask_whose_header_asks_for_more_than_cv2_takes(tmp_path: Path) -> None:
    """At which cv2 raises an error of its own."""
    folder = write_mask_images(tmp_path / "masks", square_masks(2, [1]))
    data = bytearray((folder / "002.bmp").read_bytes())
    data[22:26] = (2**31 - 1).to_bytes(4, "little")  # its height
    (folder / "002.bmp").write_bytes(data)
    with pytest.raises(ValueError, match=r"002\.bmp cannot be decoded as an image"):
        open_masks(folder)[1]
