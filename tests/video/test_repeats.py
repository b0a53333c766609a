"""What repeats, what stands, and what only rests."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from anomalib_stmem.video.repeats import FROZEN_SECONDS, Repeats

RATE = 10


def scene(count: int, noise: float = 2.0, seed: int = 0, speed: int = 3) -> list[np.ndarray]:
    """A square that moves over a background, seen by a camera with noise."""
    draw = np.random.default_rng(seed)
    background = draw.integers(60, 200, (96, 128)).astype(np.float32)
    background = cv2.GaussianBlur(background, (0, 0), 3)
    frames = []
    for number in range(count):
        frame = background + draw.normal(0, noise, background.shape)
        left = (speed * number) % 100
        frame[30:60, left : left + 20] += 60
        frames.append(frame.clip(0, 255).astype(np.uint8))
    return frames


def coded(frame: np.ndarray, seed: int) -> np.ndarray:
    """The same picture as another encoding shows it."""
    return (frame + np.random.default_rng(seed).integers(-1, 2, frame.shape)).clip(0, 255).astype(np.uint8)


def looked_at(frames: Sequence[np.ndarray]) -> tuple[list[int], list[int]]:
    """Numbers of the frames that repeat, and of those at which the source is frozen."""
    repeats, repeated, frozen = Repeats(), [], []
    for number, frame in enumerate(frames):
        if repeats.is_repeat(frame, number / RATE):
            repeated.append(number)
        if repeats.is_frozen:
            frozen.append(number)
    return repeated, frozen


def test_what_moves_does_not_repeat() -> None:
    assert looked_at(scene(200)) == ([], [])


@pytest.mark.parametrize("again", [lambda frame, _: frame, coded], ids=["identical", "coded again"])
def test_every_frame_twice(again) -> None:  # noqa: ANN001
    """5 frames per second, stored as 10."""
    frames = [kept for number, frame in enumerate(scene(60)) for kept in (frame, again(frame, number))]
    repeated, frozen = looked_at(frames)
    assert [number for number in repeated if number > 1] == list(range(3, 120, 2))  # before, nothing is known to move
    assert frozen == []


def test_every_seventh_frame_doubled() -> None:
    frames = scene(70)
    frames[6::7] = frames[5::7]
    assert looked_at(frames) == (list(range(6, 70, 7)), [])


def test_room_at_rest_is_seen_anew() -> None:
    """Nothing moves for half a minute, but the camera has noise."""
    still = scene(300, speed=0)
    assert looked_at([*scene(50, seed=1), *still])[1] == []
    assert looked_at([*scene(50, seed=1), *scene(300, speed=0, noise=0.6)])[1] == []
    assert looked_at(still)[0] == []


@pytest.mark.parametrize("again", [lambda frame, _: frame, lambda frame, number: coded(frame, number // 25)])
def test_camera_that_hangs(again) -> None:  # noqa: ANN001
    """Every picture is the same, or only every 25th is encoded anew."""
    before = scene(60)
    hanging = [again(before[-1], number) for number in range(100)]
    repeated, frozen = looked_at([*before, *hanging, *scene(20, seed=3)])
    assert set(range(62, 160)) <= set(repeated)
    first = 59 + round(FROZEN_SECONDS * RATE)
    assert abs(frozen[0] - first) <= 2
    assert frozen[-1] == 159  # until it moves again


def test_source_that_never_moved_is_frozen_only_if_not_a_bit_changes() -> None:
    black = [np.zeros((48, 64), np.uint8)] * 80
    repeated, frozen = looked_at(black)
    assert repeated == list(range(1, 80))
    assert frozen[0] == round(FROZEN_SECONDS * RATE)
    assert looked_at([coded(black[0] + 9, number) for number in range(200)])[1] == []


def test_colour_and_size_may_change() -> None:
    grey = scene(4)
    frames = [grey[0], cv2.cvtColor(grey[1], cv2.COLOR_GRAY2BGR), grey[2][:40], grey[3][:40]]
    assert looked_at(frames) == ([], [])


def test_faint_movement_after_a_strong_one_is_new() -> None:
    """A difference that is coding noise beside a great one is movement beside a small one."""
    levels = np.cumsum([0, 6, *[1] * 20])
    flat = [np.full((48, 64), 100, np.uint8) for _ in levels]
    for frame, level in zip(flat, levels, strict=True):
        frame[16:24, 16:24] += np.uint8(level)
    assert looked_at(flat)[0] == []
