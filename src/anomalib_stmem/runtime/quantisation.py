"""Int8 for OpenVINO: which of a graph's operations are quantised."""

from collections.abc import Iterable
from typing import Any

from .backend import need

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
    width = min((out for out, read, *kernel in shapes.values() if out == read and kernel == [3, 3]), default=0)
    return [name for name, (out, read, *_) in shapes.items() if min(out, read) < width]
