"""What is written under the picture."""

import numpy as np
import pytest

from anomalib_stmem.results.judged_frame import JudgedFrame, Verdict
from anomalib_stmem.results.painting import words_for
from anomalib_stmem.video.frame import Frame

IMAGE, MAP = np.zeros((8, 8, 3), np.uint8), np.zeros((4, 4), np.float32)


@pytest.mark.parametrize(
    ("frame", "verdict", "words"),
    [
        (Frame(9, 0.9, IMAGE), Verdict(9, 0.25, False, MAP), "0.25"),
        (Frame(9, 0.9, IMAGE), Verdict(9, 0.75, True, MAP), "0.75 ALARM"),
        (Frame(0, 0.0, IMAGE), None, "warming up"),
        (Frame(9, 0.9, IMAGE, is_late=True), None, "not judged"),
    ],
)
def test_film_says_the_score_or_why_there_is_none(frame: Frame, verdict: Verdict | None, words: str) -> None:
    assert words_for(JudgedFrame(frame, verdict)) == words


def test_film_says_what_is_wrong_with_the_camera() -> None:
    assert words_for(JudgedFrame(Frame(9, 0.9, IMAGE), None, camera="out of focus")) == "camera: out of focus"
