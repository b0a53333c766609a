"""A trained model as files that need no Python of ours: a graph of clips and a graph of the streaming step.

Both graphs hold pre-processing (after decoding and resizing), the network in float32, calibration and thresholds, for
any number of clips or cameras.
"""

import copy
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..model.torch_model import Judged
from ..model.trained_model import TrainedModel
from .backend import METADATA_KEY, examples_beside, looks_beside, need, openvino_core
from .checksums import seal
from .quantisation import quantise
from .step import LookStep, StreamStep
from .step_info import LOOK_INPUTS, LOOK_OUTPUTS, OUTPUTS

OPSET = 18


class ClipGraph(nn.Module):
    """A model as anomalib exports it: ``(b, n, 3, h, w)`` clips in [0, 1] to outputs, one row per judged frame.

    Args:
        trained: copied, and left as it is.
    """

    def __init__(self, trained: TrainedModel) -> None:
        super().__init__()
        self.trained = copy.deepcopy(trained)
        self.eval()

    def judge(self, clips: Tensor) -> Judged:
        """Return what the model returns."""
        return self.trained(clips)

    def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
        """Return those of its fields that are there, in their order."""
        return tuple(value for value in self.judge(clips) if value is not None)


def export_clips(trained: TrainedModel, path: Path, clip_length: int | None = None, **options: Any) -> Path:
    """Write the graph of clips as ONNX.

    Args:
        trained: the model.
        path: of the ``.onnx`` file.
        clip_length: frames per clip; the window and the judged frame by default. Longer clips are judged at every frame
            with a full window before it, and cost less per frame.
        **options: of ``torch.onnx.export``.

    Raises:
        ValueError: the model cannot judge clips of such a length.
        ModuleNotFoundError: a package is missing.
    """
    window = trained.window
    length = clip_length or window + 1
    if length <= window:
        msg = (
            f"Clips of {length} frames hold no frame to judge: window {window} needs clip_length {window + 1} or more."
        )
        raise ValueError(msg)
    graph = ClipGraph(trained)
    example = torch.zeros(2, length, 3, *trained.image_size)
    with torch.no_grad():
        fields = graph.cpu().judge(example)._asdict()
    names = [name for name, value in fields.items() if value is not None]
    return _write(graph, (example,), ["input"], names, path, options)


def export_step(trained: TrainedModel, path: Path, **options: Any) -> Path:
    """Write the streaming step as ONNX, with its :class:`~.step_info.StepInfo` in the metadata.

    Where looks count, their graph is written beside it (:func:`~.backend.looks_beside`), and the normal examples; and
    check sums of all of them.

    Args:
        trained: the model.
        path: of the ``.onnx`` file.
        **options: of ``torch.onnx.export``.
    """
    step = StreamStep(trained)
    state = {name: torch.zeros(2, *shape) for name, shape in step.info.state.items()}
    example = (torch.zeros(2, 3, *step.info.image_size), *state.values())
    written = _write(step, example, ["frames", *state], [*OUTPUTS, *(f"next_{name}" for name in state)], path, options)
    onnx = need("onnx")
    graph = onnx.load(str(written))
    graph.metadata_props.add(key=METADATA_KEY, value=step.info.to_json())
    onnx.save(graph, str(written))
    if step.info.look_every:
        look = LookStep(trained)
        example = (example[0], state["frame"])
        _write(look, example, list(LOOK_INPUTS), list(LOOK_OUTPUTS), looks_beside(path), options)
        if trained.examples is not None:
            examples_beside(path).write_bytes(trained.examples.sheet)
    seal(written)
    return written


def to_openvino(
    onnx_path: Path, path: Path, compression: str | None, calibration: Iterable[Any], **options: Any
) -> Path:
    """Convert an ONNX file, and compress it.

    Args:
        onnx_path: of :func:`export_clips` or :func:`export_step`.
        path: of the ``.xml`` file.
        compression: ``None`` keeps float32, ``fp16`` and ``int8`` shrink the weights only, ``int8_ptq`` quantises the
            computation too.
        calibration: inputs by name, for ``int8_ptq``.
        **options: of ``openvino.convert_model``.

    Raises:
        ValueError: another compression.
    """
    openvino = need("openvino")
    openvino_core()  # before nncf makes one
    model = openvino.convert_model(str(onnx_path), **options)
    if compression == "int8":
        model = need("nncf").compress_weights(model)
    elif compression == "int8_ptq":
        model = quantise(model, calibration)
    elif compression == "int8_acq":
        msg = "compression_type int8_acq is not offered for clips. Take int8_ptq, and measure with `FrameStream`."
        raise ValueError(msg)
    entries = {entry.key: entry.value for entry in need("onnx").load(str(onnx_path)).metadata_props}
    if METADATA_KEY in entries:
        model.set_rt_info(entries[METADATA_KEY], [METADATA_KEY])
    openvino.save_model(model, str(path), compress_to_fp16=compression == "fp16")
    return path


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's account of its every optimisation out of the log."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _write(
    graph: ClipGraph | StreamStep | LookStep,
    example: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    path: Path,
    options: dict[str, Any],
) -> Path:
    need("onnxscript")
    graph.trained.network.precision = "float32"  # which precision is computed in is the runtime's choice
    for module in graph.modules():
        if hasattr(module, "inplace"):  # costs the exporter a sixth of its time
            module.inplace = False  # type: ignore[assignment]  # any attribute of a module may be one
    path.parent.mkdir(parents=True, exist_ok=True)
    first = {0: torch.export.Dim("batch", min=1, max=4096)}
    # The step takes its state as one tuple.
    shapes = (first, tuple(first for _ in example[1:])) if isinstance(graph, StreamStep) else (first,) * len(example)
    settings = {"opset_version": OPSET, "dynamo": True, "external_data": False, "verbose": False} | options
    with torch.no_grad(), _quiet():
        torch.onnx.export(
            graph.cpu(),
            example,
            str(path),
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=shapes,
            **settings,
        )
    return path
