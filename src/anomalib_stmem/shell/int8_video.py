"""The normal video from which int8 takes the ranges of values."""

from collections.abc import Iterator
from typing import Any, cast

import torch
from anomalib.data import AnomalibDataModule
from torch import Tensor

from ..data.clips import ClipDataset
from ..data.datamodule import ClipData
from ..model.trained_model import TrainedModel
from ..runtime.step import StreamStep
from ..runtime.step_info import LOOK_INPUTS, OUTPUTS

CALIBRATION_CLIPS = 64  # windows of normal video that int8 ranges are taken from
CALIBRATION_FRAMES = 300  # of normal video, for the streaming step


def calibration_clips(
    datamodule: AnomalibDataModule | None, length: int, size_hw: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    """Yield clips of ``length`` frames of normal video as the graph of clips takes them, spread over all of it.

    Raises:
        ValueError: there is no datamodule.
    """
    for clip in _normal_clips(datamodule, length, size_hw, CALIBRATION_CLIPS):
        yield {"input": clip[None].numpy()}


def calibration_steps(trained: TrainedModel, datamodule: AnomalibDataModule | None) -> Iterator[dict[str, Any]]:
    """Yield frames of normal video with the states that they meet, as the streaming step takes them.

    Raises:
        ValueError: there is no datamodule.
    """
    step = StreamStep(trained).cpu()
    length = step.info.window + 5
    for clip in _normal_clips(datamodule, length, step.info.image_size, CALIBRATION_FRAMES // 5):
        state = {name: torch.zeros(1, *shape) for name, shape in step.info.state.items()}
        for place, frame in enumerate(clip):
            if place >= step.info.window:  # a warm state
                yield {"frames": frame[None].numpy()} | {name: part.numpy() for name, part in state.items()}
            with torch.no_grad():
                answers = step(frame[None], *state.values())
            state = dict(zip(state, answers[len(OUTPUTS) :], strict=True))


def calibration_looks(trained: TrainedModel, datamodule: AnomalibDataModule | None) -> Iterator[dict[str, Any]]:
    """Yield frames of normal video with the frames before them, as the graph of looks takes them.

    Raises:
        ValueError: there is no datamodule.
    """
    for clip in _normal_clips(datamodule, 2, trained.image_size, CALIBRATION_CLIPS):
        with torch.no_grad():
            before = trained.preparation(clip[:1])
        yield dict(zip(LOOK_INPUTS, (clip[1:].numpy(), before.numpy()), strict=True))


def _normal_clips(
    datamodule: AnomalibDataModule | None, length: int, size_hw: tuple[int, int], count: int
) -> Iterator[Tensor]:
    """Yield up to ``count`` clips ``(length, 3, h, w)`` in [0, 1] of the training videos."""
    if datamodule is None:
        msg = "int8_ptq needs normal video to find the ranges of values. Add --data, the data the model was trained on."
        raise ValueError(msg)
    if not isinstance(datamodule, ClipData):
        got = type(datamodule).__name__
        msg = f"int8_ptq takes clips from VideoFolder and the other datamodules of STMem; got {got}."
        raise TypeError(msg)
    datamodule.image_size = size_hw
    datamodule.setup("fit")
    dataset = ClipDataset(datamodule.train_data.videos, "train", length)
    for index in range(0, len(dataset), max(1, len(dataset) // count)):
        yield cast("Tensor", dataset[index].image)
