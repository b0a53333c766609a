"""Int8 for OpenVINO: which of a graph's operations are quantised, and the normal video that their ranges come from."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

import torch
from anomalib.data import AnomalibDataModule
from torch import Tensor

from .data.clips import ClipDataset
from .data.datamodule import ClipData
from .streaming.backends import need
from .streaming.step import OUTPUTS, StreamStep

if TYPE_CHECKING:
    from .lightning_model import STMem

CALIBRATION_CLIPS = 64  # windows of normal video that int8 ranges are taken from
CALIBRATION_FRAMES = 300  # of normal video, for the streaming step
# All but convolutions: squared errors span many orders of magnitude, and their mean is the score.
NOT_QUANTISED = [
    *("Add", "AvgPool", "Divide", "MatMul", "Multiply", "Power"),
    *("ReduceL2", "ReduceMax", "ReduceMean", "Sqrt", "Subtract"),
]


def quantise(model: Any, calibration: Iterable[Any]) -> Any:
    """Quantise an OpenVINO graph of ours to int8, after training.

    Args:
        model: OpenVINO's.
        calibration: inputs by name; they are all kept in memory.
    """
    nncf = need("nncf")
    inputs = list(calibration)
    exact = nncf.IgnoredScope(names=_kept_in_floats(model), types=NOT_QUANTISED, validate=False)
    return nncf.quantize(model, nncf.Dataset(inputs), subset_size=len(inputs), ignored_scope=exact)


def calibration_clips(
    datamodule: AnomalibDataModule | None, length: int, size_hw: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    """Yield clips of ``length`` frames of normal video as the graph of clips takes them, spread over all of it.

    Raises:
        ValueError: there is no datamodule.
    """
    for clip in _normal_clips(datamodule, length, size_hw, CALIBRATION_CLIPS):
        yield {"input": clip[None].numpy()}


def calibration_steps(module: "STMem", datamodule: AnomalibDataModule | None) -> Iterator[dict[str, Any]]:
    """Yield frames of normal video with the states that they meet, as the streaming step takes them.

    Raises:
        ValueError: there is no datamodule.
    """
    step = StreamStep(module).cpu()
    length = step.info.window + 5
    for clip in _normal_clips(datamodule, length, step.info.image_size, CALIBRATION_FRAMES // 5):
        state = step.info.empty_state(1)
        for place, frame in enumerate(clip):
            if place >= step.info.window:  # a warm state
                yield {"frames": frame[None].numpy()} | {name: part.numpy() for name, part in state.items()}
            with torch.no_grad():
                answers = step(frame[None], *state.values())
            state = dict(zip(state, answers[len(OUTPUTS) :], strict=True))


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


def _kept_in_floats(model: Any) -> list[str]:
    """Name the convolutions that read or write frames.

    Differences between frames are small beside their range, and so is the error that is scored: eight bits of either
    are too few.
    """
    shapes = {
        node.get_friendly_name(): tuple(node.input_value(1).get_shape())
        for node in model.get_ops()
        if node.get_type_name() == "Convolution"
    }
    width = min(out for out, read, *kernel in shapes.values() if out == read and kernel == [3, 3])
    return [name for name, (out, read, *_) in shapes.items() if min(out, read) < width]
