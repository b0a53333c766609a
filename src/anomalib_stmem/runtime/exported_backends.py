"""The exported streaming step in ONNX Runtime or OpenVINO. Without torch."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from platformdirs import user_cache_path

from ..video.damaged_files import refuse_damaged
from .backend import (
    METADATA_KEY,
    Answers,
    Array,
    NumpyState,
    State,
    need,
    need_looks,
    num_threads,
    openvino_core,
    read_examples,
    read_info,
)
from .checksums import refuse_broken
from .step_info import LOOK_INPUTS, LOOK_OUTPUTS, OUTPUTS


class OnnxBackend(NumpyState):
    """The step in ONNX Runtime, on the CPU or, with its GPU build, on CUDA.

    Args:
        path: ``.onnx`` file of :func:`~anomalib_stmem.runtime.export.export_step`.
        precision: only ``auto`` and ``float32``; the file decides.
    """

    def __init__(self, path: Path, precision: str = "auto") -> None:
        runtime = need("onnxruntime")
        if precision == "bf16":
            msg = "ONNX Runtime has no bfloat16 convolutions on CPUs. Take backend 'openvino' or 'torch' for bf16."
            raise ValueError(msg)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = num_threads()
        # Waiting threads would hold the cores that decode and resize the next frame.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        wanted = [name for name in runtime.get_available_providers() if name.startswith(("CUDA", "CPU"))]
        refuse_broken(path)
        with refuse_damaged(path, "exported step"):
            self._session = runtime.InferenceSession(str(path), options, providers=wanted)
        self.info = read_info(self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY), path)
        self.examples = read_examples(path)
        looks = need_looks(path, self.info)
        with refuse_damaged(looks or path, "exported graph of looks"):
            self._looks = None if looks is None else runtime.InferenceSession(str(looks), options, providers=wanted)

    def run(self, frames: Array, state: State) -> tuple[Answers, State]:
        """As :meth:`~.backend.Backend.run`."""
        return _split(self._session.run(None, {"frames": frames} | state), state)

    def look(self, frames: Array, before: Array) -> State:
        """As :meth:`~.backend.Backend.look`."""
        assert self._looks is not None  # noqa: S101  # streams ask only where looks count
        answers = self._looks.run(None, dict(zip(LOOK_INPUTS, (frames, before), strict=True)))
        return dict(zip(LOOK_OUTPUTS, answers, strict=True))


class OpenVinoBackend(NumpyState):
    """The step in OpenVINO, with fixed shapes, which run a fifth faster than free ones.

    One video has all cores. Of several, each core takes the next one that waits: that is faster than a batch.

    Args:
        path: ``.xml`` or ``.onnx`` file of the step.
        precision: as in :func:`~.open_backend.open_backend`; of an int8 file, that of what it leaves in floats.
    """

    def __init__(self, path: Path, precision: str = "auto") -> None:
        self._core = openvino_core()
        refuse_broken(path)
        with refuse_damaged(path, "exported step"):
            self._model = self._core.read_model(str(path))
        held = self._model.get_rt_info([METADATA_KEY]).value if self._model.has_rt_info([METADATA_KEY]) else None
        if held is None and path.suffix == ".onnx":  # whose metadata OpenVINO passes over
            held = {entry.key: entry.value for entry in need("onnx").load(str(path)).metadata_props}.get(METADATA_KEY)
        self.info = read_info(held, path)
        able = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self._precision = "bf16" if precision == "bf16" or (precision == "auto" and able) else "f32"
        self.examples = read_examples(path)
        looks = need_looks(path, self.info)
        with refuse_damaged(looks or path, "exported graph of looks"):
            self._looks = None if looks is None else self._core.read_model(str(looks))
        self._requests: dict[tuple[bool, bool], Any] = {}

    def run(self, frames: Array, state: State) -> tuple[Answers, State]:
        """As :meth:`~.backend.Backend.run`."""
        return _split(self._infer(self._model, {"frames": frames} | state), state)

    def look(self, frames: Array, before: Array) -> State:
        """As :meth:`~.backend.Backend.look`."""
        answers = self._infer(self._looks, dict(zip(LOOK_INPUTS, (frames, before), strict=True)))
        return dict(zip(LOOK_OUTPUTS, answers, strict=True))

    def _infer(self, model: Any, inputs: dict[str, Array]) -> list[Array]:
        """Run a model on ``(b, ...)`` inputs, one video at a time; return its ``(b, ...)`` outputs."""
        num_videos = len(inputs["frames"])
        requests = self._requests_of(model, inputs)
        answers: list[list[Array]] = [[]] * num_videos

        def keep(request: Any, video: int) -> None:
            answers[video] = [output.data.copy() for output in request.output_tensors]

        requests.set_callback(keep)
        for video in range(num_videos):
            own = {name: part[video : video + 1] for name, part in inputs.items()}
            requests.start_async(own, video, share_inputs=True)
        requests.wait_all()
        return [np.concatenate(parts) for parts in zip(*answers, strict=True)]

    def _requests_of(self, model: Any, inputs: dict[str, Array]) -> Any:
        is_look = model is self._looks
        are_many = len(inputs["frames"]) > 1 or (is_look, True) in self._requests
        key = is_look, are_many
        if key not in self._requests:
            fixed = model.clone()
            fixed.reshape({name: (1, *part.shape[1:]) for name, part in inputs.items()})
            hint = "THROUGHPUT" if are_many else "LATENCY"
            hints = {"PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": self._precision}
            if num_threads():
                hints["INFERENCE_NUM_THREADS"] = str(num_threads())
            compiled = self._core.compile_model(fixed, "CPU", hints | _kept())
            self._requests[key] = need("openvino").AsyncInferQueue(compiled)
        return self._requests[key]


def _kept() -> dict[str, str]:
    """Let OpenVINO keep what it has compiled, if there is a place: at the next start that takes a third of the time."""
    folder = user_cache_path("anomalib-stmem") / "openvino"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return {}
    return {"CACHE_DIR": str(folder)} if os.access(folder, os.W_OK) else {}


def _split(outputs: list[Array], state: State) -> tuple[Answers, State]:
    score, label, anomaly_map, odd = outputs[: len(OUTPUTS)]
    return (score, label, anomaly_map, odd), dict(zip(state, outputs[len(OUTPUTS) :], strict=True))
