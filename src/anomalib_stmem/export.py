"""A trained model as files that need no Python of ours: a graph of clips and a graph of the streaming step.

anomalib's own export traces an image; a video model must bring clips. Both graphs hold pre-processing (after decoding
and resizing), the network in float32, calibration and thresholds, for any number of clips or cameras.
"""

import copy
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

import torch
from anomalib.data import AnomalibDataModule
from anomalib.deploy.export import CompressionType, ExportType
from anomalib.models.components.base.export_mixin.utils import create_export_root
from torch import Tensor, nn

from .data.clips import ClipDataset
from .data.datamodule import ClipData
from .model.torch_model import STMemModel
from .streaming.backends import METADATA_KEY, need, openvino_core
from .streaming.step import OUTPUTS, StreamStep

if TYPE_CHECKING:
    from .lightning_model import STMem

OPSET = 18
CALIBRATION_CLIPS = 64  # windows of normal video that int8 ranges are taken from
# All but convolutions: squared errors span many orders of magnitude, and their mean is the score.
NOT_QUANTISED = ["Add", "AvgPool", "Divide", "MatMul", "Multiply", "Power", "ReduceMean", "ReduceMax", "Subtract"]
CALIBRATION_FRAMES = 300  # of normal video, for the streaming step


class ClipExport:
    """anomalib's ``to_onnx`` and ``to_openvino`` for a model of clips. Subclassed because its own trace one image.

    Beside the graph of clips, each writes the graph of the streaming step as ``stream.onnx`` or ``stream.xml``.
    """

    def to_onnx(
        self,
        export_root: Path | str,
        model_file_name: str = "model",
        input_size: tuple[int, int] | None = None,
        clip_length: int | None = None,
        **kwargs: Any,
    ) -> Path:
        """Export to ONNX; the batch size stays free.

        Args:
            export_root: folder that gets ``weights/onnx``.
            model_file_name: of the graph of clips, without suffix.
            input_size: height and width; the model's by default.
            clip_length: frames per clip; ``window + 1`` by default (``--onnx_kwargs.clip_length`` on the command line).
            **kwargs: of ``torch.onnx.export``.

        Returns:
            The file of the graph of clips.
        """
        module = cast("STMem", self)
        folder = create_export_root(export_root, ExportType.ONNX)
        written = export_clips(module, folder / f"{model_file_name}.onnx", clip_length, input_size, **kwargs)
        export_step(module, folder / "stream.onnx", **kwargs)
        return written

    def to_openvino(
        self,
        export_root: Path | str,
        model_file_name: str = "model",
        input_size: tuple[int, int] | None = None,
        compression_type: CompressionType | None = None,
        datamodule: AnomalibDataModule | None = None,
        ov_kwargs: dict[str, Any] | None = None,
        onnx_kwargs: dict[str, Any] | None = None,
        **unused: Any,
    ) -> Path:
        """Export to OpenVINO; the batch size stays free.

        Args:
            export_root: folder that gets ``weights/openvino``.
            model_file_name: of the graph of clips, without suffix.
            input_size: height and width; the model's by default.
            compression_type: as in :func:`to_openvino`.
            datamodule: with normal video, for ``INT8_PTQ``.
            ov_kwargs: of ``openvino.convert_model``.
            onnx_kwargs: of :meth:`to_onnx`.
            **unused: of anomalib's accuracy-aware compression, which is not offered.

        Returns:
            The file of the graph of clips.
        """
        del unused
        need("openvino")
        module, options = cast("STMem", self), dict(onnx_kwargs or {})
        length = options.get("clip_length") or module.model.window + 1
        size = input_size or tuple(module.hparams["image_size"])
        folder = create_export_root(export_root, ExportType.OPENVINO)
        graphs = (
            (model_file_name, lambda: calibration_clips(datamodule, length, size)),
            ("stream", lambda: calibration_steps(module, datamodule)),
        )
        with TemporaryDirectory() as scratch:
            source = self.to_onnx(scratch, model_file_name, input_size, **options).parent
            for name, calibration in graphs:
                inputs = calibration() if compression_type == CompressionType.INT8_PTQ else ()
                converted = folder / f"{name}.xml"
                to_openvino(source / f"{name}.onnx", converted, compression_type, inputs, **(ov_kwargs or {}))
        return folder / f"{model_file_name}.xml"


class ClipGraph(nn.Module):
    """The module as anomalib exports it: ``(b, n, 3, h, w)`` clips in [0, 1] to outputs, one row per judged frame.

    Args:
        module: a trained model; copied.
    """

    def __init__(self, module: "STMem") -> None:
        super().__init__()
        self.pre_processor = module.pre_processor
        self.network = _exact(module.model)
        self.post_processor = module.post_processor

    def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
        """Return the fields of the module's ``InferenceBatch`` that are there, in its order."""
        clips = self.pre_processor(clips) if self.pre_processor is not None else clips
        judged = self.network(clips)
        judged = self.post_processor(judged) if self.post_processor is not None else judged
        return tuple(value for value in judged if value is not None)


def export_clips(
    module: "STMem", path: Path, clip_length: int | None = None, size_hw: tuple[int, int] | None = None, **options: Any
) -> Path:
    """Write the graph of clips as ONNX.

    Args:
        module: a trained model.
        path: of the ``.onnx`` file.
        clip_length: frames per clip; the window and the judged frame by default. Longer clips are judged at every frame
            with a full window before it, and cost less per frame.
        size_hw: height and width of the frames; the model's by default.
        **options: of ``torch.onnx.export``.

    Raises:
        ValueError: the model cannot judge clips of such a length or size.
        ModuleNotFoundError: a package is missing.
    """
    window = module.model.window
    length = clip_length or window + 1
    size = size_hw or tuple(module.hparams["image_size"])
    if length <= window:
        msg = (
            f"Clips of {length} frames hold no frame to judge: window {window} needs clip_length {window + 1} or more."
        )
        raise ValueError(msg)
    if any(side % module.model.divisor for side in size):
        msg = f"input_size must be multiples of {module.model.divisor}, which the network halves; got {list(size)}."
        raise ValueError(msg)
    graph = ClipGraph(module.eval()).eval()
    example = torch.zeros(2, length, 3, *size)
    with torch.no_grad():
        fields = module(example[:1].to(module.device))._asdict()
    names = [name for name, value in fields.items() if value is not None]
    return _write(graph, (example,), ["input"], names, path, options)


def export_step(module: "STMem", path: Path, **options: Any) -> Path:
    """Write the streaming step as ONNX, with its :class:`~.streaming.step.StepInfo` in the metadata.

    Args:
        module: a trained model.
        path: of the ``.onnx`` file.
        **options: of ``torch.onnx.export``.
    """
    step = StreamStep(module).eval()
    step.network = _exact(module.model)
    step = copy.deepcopy(step).cpu()
    state = step.info.empty_state(2)
    example = (torch.zeros(2, 3, *step.info.image_size), *state.values())
    written = _write(step, example, ["frames", *state], [*OUTPUTS, *(f"next_{name}" for name in state)], path, options)
    onnx = need("onnx")
    graph = onnx.load(str(written))
    graph.metadata_props.add(key=METADATA_KEY, value=step.info.to_json())
    onnx.save(graph, str(written))
    return written


def to_openvino(
    onnx_path: Path, path: Path, compression: CompressionType | None, calibration: Iterable[Any], **options: Any
) -> Path:
    """Convert an ONNX file, and compress it.

    Args:
        onnx_path: of :func:`export_clips` or :func:`export_step`.
        path: of the ``.xml`` file.
        compression: ``None`` keeps float32, ``FP16`` and ``INT8`` shrink the weights only, ``INT8_PTQ`` quantises the
            computation too.
        calibration: inputs by name, for ``INT8_PTQ``.
        **options: of ``openvino.convert_model``.

    Raises:
        ValueError: another compression.
    """
    openvino = need("openvino")
    openvino_core()  # before nncf makes one
    model = openvino.convert_model(str(onnx_path), **options)
    if compression == CompressionType.INT8:
        model = need("nncf").compress_weights(model)
    elif compression == CompressionType.INT8_PTQ:
        nncf = need("nncf")
        inputs = list(calibration)
        exact = nncf.IgnoredScope(names=_kept_in_floats(model), types=NOT_QUANTISED, validate=False)
        model = nncf.quantize(model, nncf.Dataset(inputs), subset_size=len(inputs), ignored_scope=exact)
    elif compression == CompressionType.INT8_ACQ:
        msg = "compression_type int8_acq is not offered for clips. Take int8_ptq, and measure with `FrameStream`."
        raise ValueError(msg)
    entries = {entry.key: entry.value for entry in need("onnx").load(str(onnx_path)).metadata_props}
    if METADATA_KEY in entries:
        model.set_rt_info(entries[METADATA_KEY], [METADATA_KEY])
    openvino.save_model(model, str(path), compress_to_fp16=compression == CompressionType.FP16)
    return path


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
    step = StreamStep(module).eval()
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
    are too few. The memories (matrix products) and the differences themselves stay in floats too.
    """
    shapes = {
        node.get_friendly_name(): tuple(node.input_value(1).get_shape())
        for node in model.get_ops()
        if node.get_type_name() == "Convolution"
    }
    width = min(out for out, read, *kernel in shapes.values() if out == read and kernel == [3, 3])
    return [name for name, (out, read, *_) in shapes.items() if min(out, read) < width]


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


def _exact(network: STMemModel) -> STMemModel:
    """Copy a network to the CPU, in float32: precision is the runtime's choice."""
    copied = copy.deepcopy(network).cpu().eval()
    copied.precision = "float32"
    return copied


def _write(
    graph: nn.Module,
    example: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    path: Path,
    options: dict[str, Any],
) -> Path:
    need("onnxscript")
    path.parent.mkdir(parents=True, exist_ok=True)
    first = {0: torch.export.Dim("batch", min=1, max=4096)}
    shapes = (first, tuple(first for _ in example[1:])) if len(example) > 1 else (first,)
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
