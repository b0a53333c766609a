"""Chooses who runs the streaming step: torch, ONNX Runtime or OpenVINO."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from .backend import Backend, need
from .exported_backends import OnnxBackend, OpenVinoBackend

if TYPE_CHECKING:  # torch is imported by the torch backend only
    from ..model.trained_model import ModelOrPath

BackendName = Literal["auto", "torch", "onnxruntime", "openvino"]
SUFFIXES: dict[str, BackendName] = {".ckpt": "torch", ".onnx": "onnxruntime", ".xml": "openvino"}
PRECISIONS = ("auto", "float32", "bf16")


def open_backend(
    source: "ModelOrPath", backend: BackendName = "auto", precision: str = "auto", **options: Any
) -> Backend:
    """Make a backend that runs a model's step.

    Args:
        source: a model, its checkpoint (``.ckpt``), or its exported step (``.onnx``, or OpenVINO's ``.xml``).
        backend: ``auto`` is the one of the file: torch for models and checkpoints, ONNX Runtime for ``.onnx``. Asked to
            run a model or checkpoint elsewhere, it is exported on the way.
        precision: ``bf16`` computes convolutions in bfloat16, ``auto`` where the device has units for it. ONNX Runtime
            runs what the file holds.
        **options: of :class:`~.torch_backend.TorchBackend`; other backends have none.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is none of these, the backend cannot run it or lacks the option, or there is no such
            precision.
        ModuleNotFoundError: the backend is not installed.
    """
    suffix = _suffix_of(source)
    if precision not in PRECISIONS:
        msg = f"precision must be auto, float32 or bf16; got {precision!r}."
        raise ValueError(msg)
    chosen = SUFFIXES[suffix] if backend == "auto" else backend
    if chosen == "torch":
        if suffix != ".ckpt":
            msg = f"torch runs checkpoints (.ckpt), not {source}. Take backend 'onnxruntime' or 'openvino' for it."
            raise ValueError(msg)
        from ..model.trained_model import as_trained
        from .step import StreamStep
        from .torch_backend import TorchBackend

        return TorchBackend(StreamStep(as_trained(source)), cast("Any", precision), **options)
    if chosen not in {"onnxruntime", "openvino"}:
        msg = f"backend must be auto, torch, onnxruntime or openvino; got {backend!r}."
        raise ValueError(msg)
    if chosen == "onnxruntime" and suffix == ".xml":
        msg = f"ONNX Runtime runs .onnx files, not {source}. Take backend 'openvino' for it."
        raise ValueError(msg)
    if options:
        msg = f"Only backend 'torch' has the option {', '.join(options)}; {chosen} has not."
        raise ValueError(msg)
    backend_class: Callable[..., Backend] = OnnxBackend if chosen == "onnxruntime" else OpenVinoBackend
    need(chosen)
    if suffix != ".ckpt":
        return backend_class(Path(cast("str", source)), precision)
    from ..model.trained_model import as_trained
    from .export import export_step

    with tempfile.TemporaryDirectory() as scratch:
        return backend_class(export_step(as_trained(source), Path(scratch) / "step.onnx"), precision)


def _suffix_of(source: "ModelOrPath") -> str:
    """Say what kind of file can be run, after a look whether it is there; a model is as its checkpoint."""
    if not isinstance(source, Path | str):
        return ".ckpt"
    path = Path(source)
    if path.suffix not in SUFFIXES:
        msg = f"{path} is no model. Expected a checkpoint (.ckpt) or an exported step (.onnx, .xml)."
        raise ValueError(msg)
    if not path.is_file():
        msg = f"There is no file {path.resolve()}."
        raise FileNotFoundError(msg)
    return path.suffix
