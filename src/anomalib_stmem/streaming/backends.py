"""Who runs the streaming step: torch, ONNX Runtime or OpenVINO, behind one call."""

import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from pickle import UnpicklingError  # only the exception: weights_only executes nothing
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..model.torch_model import Precision, State
from .step import OUTPUTS, StepInfo, StreamStep

if TYPE_CHECKING:
    from ..lightning_model import STMem

BackendName = Literal["auto", "torch", "onnxruntime", "openvino"]
METADATA_KEY = "anomalib_stmem"  # under which an exported file holds its StepInfo
SUFFIXES: dict[str, BackendName] = {".ckpt": "torch", ".onnx": "onnxruntime", ".xml": "openvino"}


class Backend(Protocol):
    """Runs the step of one model."""

    info: StepInfo
    device: torch.device  # where the state lives

    def run(self, frames: Tensor, state: State) -> tuple[Tensor, Tensor, Tensor, State]:
        """Judge ``(b, 3, h, w)`` frames in [0, 1].

        Returns:
            Score ``(b,)``, label ``(b,)``, map ``(b, 1, h, w)`` and the new state.
        """
        ...


def open_backend(
    source: "STMem | Path | str", backend: BackendName = "auto", precision: Precision = "auto", **options: Any
) -> Backend:
    """Make a backend that runs a model's step.

    Args:
        source: a model, its checkpoint (``.ckpt``), or its exported step (``.onnx``, or OpenVINO's ``.xml``).
        backend: ``auto`` is the one of the file: torch for models and checkpoints, ONNX Runtime for ``.onnx``. Asked to
            run a model or checkpoint elsewhere, it is exported on the way.
        precision: ``bf16`` computes convolutions in bfloat16, ``auto`` where the device has units for it. ONNX Runtime
            runs what the file holds.
        **options: of :class:`TorchBackend`; other backends have none.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is none of these, the backend cannot run it or lacks the option, or there is no such
            precision.
        ModuleNotFoundError: the backend is not installed.
    """
    suffix = _suffix_of(source)
    if precision not in get_args(Precision):
        msg = f"precision must be auto, float32 or bf16; got {precision!r}."
        raise ValueError(msg)
    chosen = SUFFIXES[suffix] if backend == "auto" else backend
    if chosen == "torch":
        if suffix != ".ckpt":
            msg = f"torch runs checkpoints (.ckpt), not {source}. Take backend 'onnxruntime' or 'openvino' for it."
            raise ValueError(msg)
        return TorchBackend(load_model(source), precision, **options)
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
    from ..export import export_step

    with tempfile.TemporaryDirectory() as scratch:
        return backend_class(export_step(load_model(source), Path(scratch) / "step.onnx"), precision)


def _suffix_of(source: "STMem | Path | str") -> str:
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


def load_model(source: "STMem | Path | str") -> "STMem":
    """Load a checkpoint on the CPU without executing code in it; a model is handed back.

    Raises:
        ValueError: the file is no checkpoint, that of another model, or one of an earlier state of this package.
    """
    from ..lightning_model import STMem

    if isinstance(source, STMem):
        return source
    try:
        loaded = STMem.load_from_checkpoint(source, map_location="cpu", weights_only=True)
    except (RuntimeError, KeyError, EOFError, UnpicklingError, AttributeError, TypeError) as error:
        msg = f"{source} is no checkpoint of STMem: damaged, of another model, or no checkpoint at all."
        raise ValueError(msg) from error
    return cast("STMem", loaded.eval())


def need(package: str) -> Any:
    """Import an optional package.

    Raises:
        ModuleNotFoundError: it is not installed; says how to.
    """
    from importlib import import_module

    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        extra = "openvino" if package in {"openvino", "nncf"} else "onnx"
        msg = f'{package} is not installed. It comes with: pip install "anomalib-stmem[{extra}]"'
        raise ModuleNotFoundError(msg, name=package) from error


@cache
def openvino_core() -> Any:
    """Return the process's one OpenVINO core, with its CPU plugin loaded.

    Each plugin puts up a signal stack of its own and, when it goes, puts back the one it found. Of several cores that
    go in any order, one puts back a stack that is gone, and the next signal (a worker that ends) crashes the process
    (OpenVINO 2026.4).
    """
    core = need("openvino").Core()
    core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return core


class TorchBackend:
    """The step in torch, with its batch normalisations folded into the convolutions.

    Args:
        module: a trained model; copied, so training on does not disturb the stream.
        precision: as in :func:`open_backend`.
        compiled: whether ``torch.compile`` fuses the step; on CUDA it also replays it as a CUDA graph.
        device: where to run. Defaults to CUDA if there is one.
    """

    def __init__(
        self,
        module: "STMem",
        precision: Precision = "auto",
        compiled: bool = False,
        device: torch.device | str | None = None,
    ) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        step = StreamStep(module).to(self.device)
        fold_batch_norms(step.network)
        if precision != "auto":
            step.network.precision = precision
        self.info = step.info
        self._replayed = compiled and self.device.type == "cuda"
        mode = "reduce-overhead" if self._replayed else "default"
        self._step = torch.compile(step, mode=mode, dynamic=False) if compiled else step

    @torch.no_grad()
    def run(self, frames: Tensor, state: State) -> tuple[Tensor, Tensor, Tensor, State]:
        """As :meth:`Backend.run`."""
        answers = self._step(frames.to(self.device, non_blocking=True), *state.values())
        if self._replayed:  # the next replay overwrites the memory of this one
            answers = tuple(answer.clone() for answer in answers)
        return _answer(answers, state)


class OnnxBackend:
    """The step in ONNX Runtime, on the CPU or, with its GPU build, on CUDA.

    Args:
        path: ``.onnx`` file of :func:`~anomalib_stmem.export.export_step`.
        precision: only ``auto`` and ``float32``; the file decides.
    """

    device = torch.device("cpu")

    def __init__(self, path: Path, precision: Precision = "auto") -> None:
        runtime = need("onnxruntime")
        if precision == "bf16":
            msg = "ONNX Runtime has no bfloat16 convolutions on CPUs. Take backend 'openvino' or 'torch' for bf16."
            raise ValueError(msg)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # Waiting threads would hold the cores that decode and resize the next frame.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        wanted = [name for name in runtime.get_available_providers() if name.startswith(("CUDA", "CPU"))]
        self._session = runtime.InferenceSession(str(path), options, providers=wanted)
        self.info = _info_of(self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY), path)

    def run(self, frames: Tensor, state: State) -> tuple[Tensor, Tensor, Tensor, State]:
        """As :meth:`Backend.run`."""
        feeds = {"frames": frames.numpy()} | {name: part.numpy() for name, part in state.items()}
        answers = [torch.from_numpy(answer) for answer in self._session.run(None, feeds)]
        return _answer(answers, state)


class OpenVinoBackend:
    """The step in OpenVINO, compiled once per number of videos: fixed shapes run a fifth faster than free ones.

    Args:
        path: ``.xml`` or ``.onnx`` file of the step.
        precision: as in :func:`open_backend`. An int8 file stays int8; this is for what it leaves in floats.
    """

    device = torch.device("cpu")

    def __init__(self, path: Path, precision: Precision = "auto") -> None:
        self._core = openvino_core()
        self._model = self._core.read_model(str(path))
        held = self._model.get_rt_info([METADATA_KEY]).value if self._model.has_rt_info([METADATA_KEY]) else None
        if held is None and path.suffix == ".onnx":  # whose metadata OpenVINO passes over
            held = {entry.key: entry.value for entry in need("onnx").load(str(path)).metadata_props}.get(METADATA_KEY)
        self.info = _info_of(held, path)
        able = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self._precision = "bf16" if precision == "bf16" or (precision == "auto" and able) else "f32"
        self._requests: dict[int, Any] = {}

    def run(self, frames: Tensor, state: State) -> tuple[Tensor, Tensor, Tensor, State]:
        """As :meth:`Backend.run`."""
        request = self._request(len(frames))
        feeds = {"frames": frames.numpy()} | {name: part.numpy() for name, part in state.items()}
        answers = [torch.from_numpy(answer) for answer in request.infer(feeds, share_inputs=True).values()]
        return _answer(answers, state)

    def _request(self, num_videos: int) -> Any:
        if num_videos not in self._requests:
            fixed = self._model.clone()
            parts = {"frames": (3, *self.info.image_size)} | self.info.state
            shapes = {name: (num_videos, *shape) for name, shape in parts.items()}
            fixed.reshape(shapes)
            hints = {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": self._precision,
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            }
            self._requests[num_videos] = self._core.compile_model(fixed, "CPU", hints).create_infer_request()
        return self._requests[num_videos]


def _answer(outputs: Sequence[Tensor], state: State) -> tuple[Tensor, Tensor, Tensor, State]:
    score, label, anomaly_map = outputs[: len(OUTPUTS)]
    return score, label, anomaly_map, dict(zip(state, outputs[len(OUTPUTS) :], strict=True))


def fold_batch_norms(network: nn.Module) -> None:
    """Fold every batch normalisation that follows a convolution into it, in place; for evaluation only."""
    for sequence in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for place, (one, two) in enumerate(pairwise(list(sequence))):
            if isinstance(one, nn.Conv2d) and isinstance(two, nn.BatchNorm2d):
                sequence[place], sequence[place + 1] = fuse_conv_bn_eval(one, two), nn.Identity()


def _info_of(held: str | None, path: Path) -> StepInfo:
    if not held:
        msg = f"{path} is no streaming step of STMem. `anomalib export` writes one as stream.onnx or stream.xml."
        raise ValueError(msg)
    return StepInfo.from_json(held)
