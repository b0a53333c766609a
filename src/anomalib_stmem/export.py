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
from anomalib.data import AnomalibDataModule, InferenceBatch
from anomalib.deploy.export import CompressionType, ExportType
from anomalib.models.components.base.export_mixin.utils import create_export_root
from torch import Tensor, nn

from .quantisation import calibration_clips, calibration_steps, quantise
from .streaming.backends import METADATA_KEY, need, openvino_core
from .streaming.step import OUTPUTS, StreamStep

if TYPE_CHECKING:
    from .lightning_model import STMem

OPSET = 18


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
            input_size: anomalib's option; only the model's ``image_size``, the default, can be exported.
            clip_length: frames per clip; ``window + 1`` by default (``--onnx_kwargs "{clip_length: 16}"``).
            **kwargs: of ``torch.onnx.export``.

        Returns:
            The file of the graph of clips.

        Raises:
            ValueError: another ``input_size``, or a clip that is too short.
        """
        module = cast("STMem", self)
        trained_at = tuple(module.hparams["image_size"])
        if input_size is not None and tuple(input_size) != trained_at:
            msg = (
                f"--input_size {list(input_size)} is not the model's image_size, {list(trained_at)}. Leave it out; "
                "whoever runs the file resizes frames to that size, as FrameStream does."
            )
            raise ValueError(msg)
        folder = create_export_root(export_root, ExportType.ONNX)
        written = export_clips(module, folder / f"{model_file_name}.onnx", clip_length, **kwargs)
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
            input_size: as in :meth:`to_onnx`.
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
        size = tuple(module.hparams["image_size"])
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
        module: a trained model; copied, and left as it is.
    """

    def __init__(self, module: "STMem") -> None:
        super().__init__()
        self.pre_processor = copy.deepcopy(module.pre_processor)
        self.network = copy.deepcopy(module.model)
        self.post_processor = copy.deepcopy(module.post_processor)
        self.eval()

    def judge(self, clips: Tensor) -> InferenceBatch:
        """Return what the module returns."""
        clips = self.pre_processor(clips) if self.pre_processor is not None else clips
        judged = self.network(clips)
        return self.post_processor(judged) if self.post_processor is not None else judged

    def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
        """Return those of its fields that are there, in their order."""
        return tuple(value for value in self.judge(clips) if value is not None)


def export_clips(module: "STMem", path: Path, clip_length: int | None = None, **options: Any) -> Path:
    """Write the graph of clips as ONNX.

    Args:
        module: a trained model.
        path: of the ``.onnx`` file.
        clip_length: frames per clip; the window and the judged frame by default. Longer clips are judged at every frame
            with a full window before it, and cost less per frame.
        **options: of ``torch.onnx.export``.

    Raises:
        ValueError: the model cannot judge clips of such a length.
        ModuleNotFoundError: a package is missing.
    """
    window = module.model.window
    length = clip_length or window + 1
    if length <= window:
        msg = (
            f"Clips of {length} frames hold no frame to judge: window {window} needs clip_length {window + 1} or more."
        )
        raise ValueError(msg)
    graph = ClipGraph(module)
    example = torch.zeros(2, length, 3, *module.hparams["image_size"])
    with torch.no_grad():
        fields = graph.cpu().judge(example)._asdict()
    names = [name for name, value in fields.items() if value is not None]
    return _write(graph, (example,), ["input"], names, path, options)


def export_step(module: "STMem", path: Path, **options: Any) -> Path:
    """Write the streaming step as ONNX, with its :class:`~.streaming.step.StepInfo` in the metadata.

    Args:
        module: a trained model.
        path: of the ``.onnx`` file.
        **options: of ``torch.onnx.export``.
    """
    step = StreamStep(module)
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
        model = quantise(model, calibration)
    elif compression == CompressionType.INT8_ACQ:
        msg = "compression_type int8_acq is not offered for clips. Take int8_ptq, and measure with `FrameStream`."
        raise ValueError(msg)
    entries = {entry.key: entry.value for entry in need("onnx").load(str(onnx_path)).metadata_props}
    if METADATA_KEY in entries:
        model.set_rt_info(entries[METADATA_KEY], [METADATA_KEY])
    openvino.save_model(model, str(path), compress_to_fp16=compression == CompressionType.FP16)
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
    graph: ClipGraph | StreamStep,
    example: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    path: Path,
    options: dict[str, Any],
) -> Path:
    need("onnxscript")
    graph.network.precision = "float32"  # which precision is computed in is the runtime's choice
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
