"""Pictures of every kind, shown as a viewer shows them; and what is missing or damaged among them."""

import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from makers import write_frames
from PIL import Image

from anomalib_stmem.video.frame import colour
from anomalib_stmem.video.pictures import (
    DamagedPictureError,
    PicturesDecoder,
    picture_size,
    read_picture,
    starts_after_gaps,
)

ORIENTATION = 0x0112


def shades() -> np.ndarray:
    """BGR, 48x64, darker above and bluer on the left, so that every turn shows."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[..., 0] = np.linspace(200, 60, 64).astype(np.uint8)
    image[..., 1] = np.linspace(40, 180, 48).astype(np.uint8)[:, None]
    image[..., 2] = 90
    return image


def pillow(mode: str = "RGB") -> Image.Image:
    return Image.fromarray(shades()[..., ::-1].copy()).convert(mode)


def cmyk(path: Path) -> None:
    pillow("CMYK").save(path, quality=95)


def palette(path: Path) -> None:
    pillow().quantize(256).save(path)


def with_alpha(path: Path) -> None:
    cv2.imwrite(str(path), np.dstack([shades(), np.full((48, 64), 128, np.uint8)]))


def sixteen_bits(path: Path) -> None:
    cv2.imwrite(str(path), shades().astype(np.uint16) * 257)


def padded(path: Path) -> None:
    pillow().save(path, quality=95)
    path.write_bytes(path.read_bytes() + bytes(4096))


def plain(path: Path) -> None:
    assert cv2.imwrite(str(path), shades())


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.jpg", cmyk),
        ("a.png", palette),
        ("a.png", with_alpha),
        ("a.png", sixteen_bits),
        ("a.jpg", padded),
        *[(f"a{suffix}", plain) for suffix in (".bmp", ".webp", ".jp2", ".ppm", ".tiff", ".jpe")],
    ],
)
def test_picture_is_shown_as_a_viewer_shows_it(tmp_path: Path, name: str, make) -> None:  # noqa: ANN001
    make(tmp_path / name)
    image = read_picture(tmp_path / name)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - shades()).max() < 25
    assert picture_size(tmp_path / name) == (48, 64)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_obeyed(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    pillow().save(tmp_path / "a.jpg", quality=95, exif=exif.tobytes())
    image = np.asarray(shades())
    turned = {1: image, 2: image[:, ::-1], 3: image[::-1, ::-1], 4: image[::-1], 5: image.swapaxes(0, 1)}
    turned |= {6: np.rot90(image, -1), 7: np.rot90(image, -1)[:, ::-1][::-1, ::-1], 8: np.rot90(image)}
    if orientation == 7:
        turned[7] = image.swapaxes(0, 1)[::-1, ::-1]
    shown = read_picture(tmp_path / "a.jpg")
    assert picture_size(tmp_path / "a.jpg") == shown.shape[:2] == turned[orientation].shape[:2]
    assert np.abs(shown.astype(int) - turned[orientation]).max() < 25


def test_floats_are_scaled_and_those_beyond_are_refused(tmp_path: Path) -> None:
    grey = np.linspace(0, 1, 48 * 64, dtype=np.float32).reshape(48, 64)
    cv2.imwrite(str(tmp_path / "a.tif"), grey)
    assert np.abs(read_picture(tmp_path / "a.tif") - 255 * grey).max() <= 0.51
    cv2.imwrite(str(tmp_path / "b.tif"), 300 * grey)
    with pytest.raises(DamagedPictureError, match=r"b\.tif holds floats from 0 to 300\. Expected \[0, 1\]"):
        read_picture(tmp_path / "b.tif")


def test_grey_stays_one_plane(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), shades()[..., 0])
    image = read_picture(tmp_path / "a.png")
    assert image.shape == (48, 64)
    assert (colour(image) == shades()[..., :1]).all()


@pytest.mark.parametrize(
    ("numbers", "starts"),
    [
        ([1, 2, 3, 4], []),
        ([1, 2, 3, 45, 46], [3]),
        ([0, 5, 10, 15], []),
        ([0, 5, 10, 25, 30], [3]),
        ([1, 2, 4, 5, 6, 9], [2, 5]),
        ([7, 9], []),
    ],
)
def test_missing_numbers_are_gaps(numbers: list[int], starts: list[int]) -> None:
    assert list(starts_after_gaps([Path(f"f_2024_{number:03d}.jpg") for number in numbers])) == starts


def test_names_without_numbers_have_no_gaps() -> None:
    assert list(starts_after_gaps([Path("a.jpg"), Path("b.jpg"), Path("c9.jpg")])) == []


def test_damaged_pictures_are_passed_over_counted_and_told_apart(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    folder = write_frames(tmp_path / "v", [f"{number:02d}.jpg" for number in range(8)])
    for number in range(8):
        cv2.imwrite(str(folder / f"{number:02d}.jpg"), noise)
    good = (folder / "00.jpg").read_bytes()
    (folder / "02.jpg").write_bytes(b"")
    (folder / "03.jpg").write_bytes(b"no picture")
    (folder / "04.jpg").write_bytes(good[: len(good) // 2])
    (folder / "05.jpg").write_bytes(good[: len(good) // 3] + bytes(len(good) // 6) + good[len(good) // 2 :])
    decoder, complaints = PicturesDecoder.of_folder(folder, 10.0), {}
    place = -1
    while decoder.advance():
        place += 1
        before = decoder.damage.complaint
        decoder.damage.complaint = ""
        if decoder.is_damaged and decoder.is_damaged:  # asked twice, counted once
            complaints[place] = decoder.damage.complaint
        decoder.damage.complaint = before or decoder.damage.complaint
    assert sorted(complaints) == [2, 3, 4, 5]
    assert "02.jpg is empty (0 bytes)" in complaints[2]
    assert "03.jpg is no picture" in complaints[3]
    assert "04.jpg is cut off" in complaints[4]
    assert "05.jpg is damaged: " in complaints[5]
    assert "4 of 8 frames are damaged, the first at 0.2 s" in decoder.damage.explain("v")
    assert decoder.damage.is_grave


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_picture_whose_header_asks_for_all_memory_is_refused(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"001{suffix}"
    cv2.imwrite(str(file), np.zeros((8, 8), np.uint8))
    data = bytearray(file.read_bytes())
    if suffix == ".png":
        data[16:24] = (60_000).to_bytes(4, "big") * 2
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    else:
        place = data.index(b"\xff\xc0") + 5
        data[place : place + 4] = (60_000).to_bytes(2, "big") * 2
    file.write_bytes(data)
    for read in (read_picture, picture_size):
        with pytest.raises(DamagedPictureError, match=r"001\..* has more than 80 million pixels"):
            read(file)
