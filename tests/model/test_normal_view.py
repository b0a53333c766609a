"""What is wrong with a picture, on a drawn view; on real ones in test_real_data."""

import json

import cv2
import numpy as np
import pytest

from anomalib_stmem.model.normal_view import NormalView, PictureCheck, Planes, measure

SIZE = 96, 128
RNG = np.random.default_rng(0)
HOUSES = [(int(x), int(y), int(w), int(h)) for x, y, w, h in RNG.integers([0, 0, 6, 6], [118, 86, 40, 40], (40, 4))]


def drawn(seed: int = 0, light: float = 1.0, size: tuple[int, int] = SIZE) -> Planes:
    """A street in colour, with somebody in it and the noise of a camera."""
    rng, picture = np.random.default_rng(seed), np.full((*SIZE, 3), 0.45, np.float32)
    for place, (x, y, w, h) in enumerate(HOUSES):
        colour = np.random.default_rng(place).uniform(0.2, 0.8, 3)
        cv2.rectangle(picture, (x, y), (x + w, y + h), colour.tolist(), -1)
    x, y = (int(rng.integers(10, side - 10)) for side in SIZE[::-1])
    cv2.ellipse(picture, (x, y), (4, 10), 0, 0, 360, (0.1, 0.2, 0.6), -1)
    picture = cv2.resize(picture, size[::-1]) * light + rng.normal(0, 0.004, (*size, 3))
    return picture.clip(0, 1).transpose(2, 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def normal() -> NormalView:
    return NormalView.learn(drawn(seed) for seed in range(40))


def moved(picture: Planes, right: int, down: int) -> Planes:
    return np.roll(picture, (down, right), axis=(1, 2))


def blurred(picture: Planes, sigma: float) -> Planes:
    return np.stack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in picture])


def noisy(picture: Planes, sigma: float) -> Planes:
    return (picture + np.random.default_rng(1).normal(0, sigma, picture.shape)).clip(0, 1).astype(np.float32)


BLUE = np.full((3, *SIZE), [[[0.1]], [[0.1]], [[0.8]]], np.float32)
SOFT = np.broadcast_to(0.3 + 5 * (blurred(RNG.random((1, *SIZE)).astype(np.float32), 16) - 0.5), (3, *SIZE))
GREY = np.broadcast_to(drawn(50).mean(axis=0), (3, *SIZE))


@pytest.mark.parametrize(
    ("picture", "trouble"),
    [
        (drawn(50), None),
        (drawn(51, light=0.6), None),
        (drawn(52, light=1.2), None),
        (noisy(drawn(53), 0.01), None),
        (moved(drawn(50), 1, 0), None),
        (BLUE, "no signal"),
        (0 * BLUE, "dark"),
        (noisy(0.05 * drawn(50), 0.004), "dark"),
        ((drawn(50) + 0.9).clip(0, 1), "blinded"),
        (SOFT, "covered"),
        (drawn(50)[:, ::-1, ::-1].copy(), "covered"),
        (moved(drawn(50), 12, 5), "moved"),
        (blurred(drawn(50), 2.0), "out of focus"),
        (GREY, "infrared"),
        (noisy(drawn(50), 0.08), "noisy"),
    ],
)
def test_trouble_is_named(normal: NormalView, picture: Planes, trouble: str | None) -> None:
    assert PictureCheck(normal)(picture.astype(np.float32)) == trouble


def test_all_that_was_normal_is_normal(normal: NormalView) -> None:
    assert [PictureCheck(normal)(drawn(seed)) for seed in range(40)] == [None] * 40


def test_a_second_view_of_normal_video_is_known() -> None:
    """As at night, or with a door open."""
    night = [moved(drawn(seed), 40, 30) for seed in range(10)]
    check = PictureCheck(NormalView.learn([*(drawn(seed) for seed in range(30)), *night]))
    assert check(moved(drawn(50), 40, 30)) is None
    assert check(moved(drawn(50), 12, 5)) == "moved"


def test_more_normal_video_widens_what_is_normal(normal: NormalView) -> None:
    assert PictureCheck(normal)(GREY.astype(np.float32)) == "infrared"
    wider = normal.joined(NormalView.learn([GREY.astype(np.float32)]))
    assert PictureCheck(wider)(GREY.astype(np.float32)) is None
    assert PictureCheck(wider)(drawn(50)) is None
    assert len(wider.views) == 2


def test_view_travels_as_text(normal: NormalView) -> None:
    again = NormalView.from_plain(json.loads(json.dumps(normal.to_plain())))
    assert (again.least, again.most, again.least_agreement) == (normal.least, normal.most, normal.least_agreement)
    np.testing.assert_array_equal(again.views, normal.views)


def test_noise_is_measured_in_its_deviation() -> None:
    plain = np.full((3, 64, 64), 0.5, np.float32)
    grain = np.random.default_rng(0).normal(0, 0.03, (1, 64, 64)).astype(np.float32)
    assert measure(plain + grain).noise == pytest.approx(0.03, rel=0.1)
    assert measure(drawn(0)).noise < 0.006  # edges are none


def test_small_pictures_and_none() -> None:
    check = PictureCheck(NormalView.learn([drawn(seed, size=(16, 16)) for seed in range(5)]))
    assert check(drawn(9, size=(16, 16))) is None
    with pytest.raises(ValueError, match="A normal view needs a picture"):
        NormalView.learn([])
