"""The shipped network is what its page says."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from anomalib_stmem import FrameStream, STMem

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "weights" / "ped2.ckpt"
PED2 = ROOT.parent / "shared" / "data" / "ped2"


def test_weights_are_small_calibrated_and_of_todays_options() -> None:
    assert WEIGHTS.stat().st_size < 10_000_000
    model = STMem.load_from_checkpoint(WEIGHTS, map_location="cpu", weights_only=True)
    assert model.post_processor.is_calibrated
    assert (model.trained.frame_rate, model.trained.proportion) == (10, 1.5)
    defaults = STMem(channels=1, image_size=(240, 352), streams="temporal", train_crop=(96, 144))
    different = {name for name in defaults.hparams if defaults.hparams[name] != model.hparams[name]}
    # No picture of UCSD is in the file.
    assert different <= {"pre_processor", "post_processor", "evaluator", "visualizer", "appearance_examples"}


@pytest.mark.skipif(not PED2.is_dir(), reason=f"UCSD Ped2 is not in {PED2.parent}")
def test_stream_finds_the_cyclist_of_ped2() -> None:
    stream = FrameStream(WEIGHTS)
    frames = sorted((PED2 / "testing" / "frames" / "02").glob("*.jpg"))
    verdicts = [stream.push(cv2.imread(str(path))) for path in frames]
    judged = [verdict for verdict in verdicts if verdict is not None]
    masks = sorted((PED2 / "testing" / "masks" / "02").glob("*.png"))[stream.info.window :]
    abnormal = np.array([cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).any() for path in masks])
    assert roc_auc_score(abnormal, [verdict.score for verdict in judged]) > 0.98
    alarms = np.array([verdict.is_anomalous for verdict in judged])
    assert alarms[abnormal].mean() > 0.5
    assert not alarms[~abnormal].any()
