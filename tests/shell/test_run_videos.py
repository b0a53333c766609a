from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from trained import calibrated

from anomalib_stmem.model.normal_view import NormalView
from anomalib_stmem.model.scoring import MEASUREMENTS
from anomalib_stmem.model.trained_model import TrainedModel
from anomalib_stmem.results.files import EVENTS, SCORES
from anomalib_stmem.results.video_results import VideoResults
from anomalib_stmem.shell.run_videos import Playing

RATE, COUNT, DARK_FROM, DARK_TO = 10.0, 120, 30, 70


@pytest.fixture
def film() -> NDArray[np.uint8]:
    """RGB planes of a still picture that is dark from 3 to 7 s."""
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    picture = cv2.resize(coarse, (64, 48), interpolation=cv2.INTER_CUBIC).transpose(2, 0, 1)
    frames = np.repeat(picture[None], COUNT, axis=0)
    frames[DARK_FROM:DARK_TO] //= 50
    return frames


def play(film: NDArray[np.uint8], folder: Path, normal: NormalView | None) -> tuple[list[dict[str, Any]], list[int]]:
    """Play it with scores far above the threshold; return the events and the frames that were judged."""
    model = calibrated()
    trained = TrainedModel(model.model, model.post_processor, dict(model.hparams), normal=normal)
    playing = Playing(iter(film), VideoResults(folder, "gate", RATE, films_whole_video=False), RATE, trained)
    numbers = range(trained.window, COUNT)
    batch = SimpleNamespace(
        frames=torch.tensor(numbers),
        last_frame=torch.full((len(numbers),), COUNT - 1),
        pred_score=torch.full((len(numbers),), 0.9),
        pred_label=torch.ones(len(numbers)),
        anomaly_map=torch.full((len(numbers), 1, 16, 16), 0.9),
        measurements=torch.zeros(len(numbers), len(MEASUREMENTS)),
        nearest=None,
        gt_label=None,
    )
    over = [playing.show(batch, place) for place in range(len(numbers))]
    assert over == [False] * (len(over) - 1) + [True]
    return pd.read_json(folder / EVENTS).to_dict("records"), pd.read_csv(folder / SCORES).frame.tolist()


def test_failing_camera_is_the_event_and_no_movement_is_told(film: NDArray[np.uint8], tmp_path: Path) -> None:
    trained_on = NormalView.learn(np.stack([cv2.resize(plane, (16, 16)) for plane in film[0]])[None] / np.float32(255))
    events, judged = play(film, tmp_path / "watched", trained_on)
    assert [event["kind"] for event in events] == ["abnormal", "camera", "abnormal"]
    before, dark, after = events
    assert dark["camera"] == "dark"
    assert dark["start"] == pytest.approx(DARK_FROM / RATE, abs=0.3)  # looked at five times a second
    assert before["end"] <= dark["start"]
    assert DARK_TO / RATE < dark["end"] < after["start"]
    assert not set(judged) & set(range(DARK_FROM + 2, DARK_TO))


def test_without_a_normal_view_every_frame_is_judged(film: NDArray[np.uint8], tmp_path: Path) -> None:
    events, judged = play(film, tmp_path / "unknown", None)
    assert [event["kind"] for event in events] == ["abnormal"]
    assert judged == list(range(5, COUNT))
