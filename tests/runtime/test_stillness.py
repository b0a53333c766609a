"""The network need not see what it has seen."""

import numpy as np
import pytest
from trained import calibrated

from anomalib_stmem import FrameStream
from anomalib_stmem.runtime.stillness import Stillness
from anomalib_stmem.runtime.stream import ONLY

NOISE, MEMORY = (2 / 255) ** 2, 3


def picture(square: float = 0.5) -> np.ndarray:
    """Grey, with one square of eight pixels of some brightness."""
    planes = np.full((3, 32, 48), 0.5, np.float32)
    planes[:, 8:16, 16:24] = square
    return planes


def rests(pictures: list[np.ndarray]) -> list[bool]:
    stillness = Stillness(NOISE, MEMORY)
    return [stillness.rests(one) for one in pictures]


def test_rests_when_nothing_has_moved_for_longer_than_the_network_looks_back() -> None:
    assert rests([picture()] * 7) == [False] * 4 + [True] * 3


def test_wakes_with_one_square_and_looks_back_anew() -> None:
    assert rests([*[picture()] * 6, *[picture(0.52)] * 6])[5:] == [True] + [False] * 4 + [True] * 2


def test_noise_is_no_movement() -> None:
    draw = np.random.default_rng(0)
    noisy = [picture() + draw.normal(0, 1 / 255, picture().shape).astype(np.float32) for _ in range(8)]
    assert rests(noisy)[4:] == [True] * 4


def test_what_creeps_is_noticed_when_it_has_gone_far_enough() -> None:
    creeping = rests([picture(0.5 + step / 1000) for step in range(40)])
    assert 0 < creeping.count(True) < 30
    assert not all(creeping[4:])


@pytest.fixture(scope="module")
def stream() -> FrameStream:
    return FrameStream(calibrated(image_size=(32, 48)))


def test_stream_keeps_the_verdict_while_nothing_moves(stream: FrameStream, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the network would have given it."""
    draw, backend = np.random.default_rng(0), stream._streams._backend
    moving = list(draw.integers(0, 256, (8, 32, 48, 3), np.uint8))
    frames = [*moving, *[moving[-1]] * 12, *moving]
    runs = []
    run = backend.run
    monkeypatch.setattr(backend, "run", lambda *given: runs.append(1) or run(*given))
    resting = [stream.push(frame) for frame in frames]
    assert len(runs) == 8 + max(stream.info.window, stream.info.look_every) + 8
    monkeypatch.setattr(Stillness, "rests", lambda *_: False)
    stream.reset()
    awake = [stream.push(frame) for frame in frames]
    assert [one and one.frame_index for one in resting] == [one and one.frame_index for one in awake]
    np.testing.assert_allclose([one.score for one in resting[5:]], [one.score for one in awake[5:]], atol=1e-5)
    np.testing.assert_allclose(
        np.stack([one.anomaly_map for one in resting[5:]]), np.stack([one.anomaly_map for one in awake[5:]]), atol=1e-5
    )


def test_gap_in_a_scene_at_rest_is_none(stream: FrameStream) -> None:
    """Where nothing has moved, nothing was missed."""
    streams, frame = stream._streams, np.random.default_rng(1).integers(0, 256, (32, 48, 3), np.uint8)
    stream.reset()
    assert not streams.is_at_rest(ONLY, frame)
    for _ in range(8):
        stream.push(frame)
    assert streams.is_at_rest(ONLY, frame)
    assert not streams.is_at_rest(ONLY, frame[::-1])
    assert not streams.is_at_rest(ONLY, np.tile(frame, (2, 2, 1)))  # another size needs a reset
    assert streams.is_at_rest(ONLY, frame)  # to ask changes nothing
