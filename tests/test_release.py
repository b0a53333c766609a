"""What the last release wrote is read as it was meant, or refused; a release adds its own file here."""

from pathlib import Path

import numpy as np
import pytest

from anomalib_stmem import FrameStream

DATA = Path(__file__).parent / "data"
SCORES = {  # of the frames below, by the release that made the checkpoint (tests/trained.py, seed 2, 16x16 pixels)
    "release_0.1.0.ckpt": [0.873879, 0.229653, 0.150548, 0.165902, 0.122426, 0.103143, 0.833595],
}


@pytest.mark.parametrize("name", SCORES)
def test_checkpoint_of_a_release_gives_the_scores_that_it_gave(name: str) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), np.uint8)
    frames[:, :, 4:] = frames[0, :, 4:]  # a picture that changes as a whole is not judged
    stream = FrameStream(DATA / name, precision="float32")
    scores = [verdict.score for verdict in map(stream.push, frames) if verdict is not None]
    np.testing.assert_allclose(scores, SCORES[name], atol=2e-6)


def test_every_file_of_a_release_is_tried() -> None:
    assert {path.name for path in DATA.glob("release_*")} == set(SCORES)
