"""What every runtime does: run the streaming step on numpy arrays. Without torch."""

import os
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..model.examples import Examples
from ..video.damaged_files import refuse_damaged
from .step_info import StepInfo

Array = NDArray[Any]
Answers = tuple[Array, Array, Array, Array]  # score (b,), label (b,), map (b, 1, h, w), odd (b, sources)
State = dict[str, Any]  # parts (b, ...) by name, arrays or tensors of the runtime; rows are indexed as numpy has it

METADATA_KEY = "anomalib_stmem"  # under which an exported file holds its StepInfo


class Backend(Protocol):
    """Runs the step of one model."""

    info: StepInfo
    examples: Examples | None  # pictures of normal video, where the model has any

    def run(self, frames: Array, state: State) -> tuple[Answers, State]:
        """Judge ``(b, 3, h, w)`` float32 frames in [0, 1]; return answers and the new state."""
        ...

    def look(self, frames: Array, before: Any) -> State:
        """See how such frames look, whose frames before are parts of a state; return parts of the state."""
        ...

    def to_state(self, part: Array) -> Any:  # array or tensor of the runtime
        """Turn an array into a part of a state; a copy."""
        ...

    def to_array(self, part: Any) -> Array:
        """Turn a part of a state into an array; a copy."""
        ...


class NumpyState:
    """For runtimes whose state is numpy arrays."""

    @staticmethod
    def to_state(part: Array) -> Array:
        """Copy."""
        return np.array(part, np.float32)

    to_array = to_state


def empty_state(backend: Backend, num_videos: int) -> State:
    """Return zeros for ``num_videos`` streams that have seen nothing."""
    shapes = backend.info.state.items()
    return {name: backend.to_state(np.zeros((num_videos, *shape), np.float32)) for name, shape in shapes}


def need(package: str) -> Any:  # a module
    """Import an optional package.

    Raises:
        ModuleNotFoundError: it is not installed; says how to.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        extra: Literal["openvino", "onnx"] = "openvino" if package in {"openvino", "nncf"} else "onnx"
        msg = f'{package} is not installed. It comes with: pip install "anomalib-stmem[{extra}]"'
        raise ModuleNotFoundError(msg, name=package) from error


def num_threads() -> int:
    """Threads that a runtime may use: what ``OMP_NUM_THREADS`` says, else 0, which leaves it to the runtime."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdigit() else 0


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


def looks_beside(path: Path) -> Path:
    """Return where the graph of looks lies that belongs to a streaming step."""
    return path.with_name(f"{path.stem}_looks{path.suffix}")


def need_looks(path: Path, info: StepInfo) -> Path | None:
    """Find the graph of looks that belongs to a streaming step; ``None`` where it needs none.

    Raises:
        FileNotFoundError: it is not there.
    """
    looks = looks_beside(path)
    if info.look_every and not looks.is_file():
        msg = f"There is no {looks.resolve()}. {path.name} needs it beside itself: copy what `anomalib export` wrote."
        raise FileNotFoundError(msg)
    return looks if info.look_every else None


def examples_beside(path: Path) -> Path:
    """Return where the sheet of normal examples lies that belongs to a streaming step."""
    return looks_beside(path).with_suffix(".jpg")


def read_examples(path: Path) -> Examples | None:
    """Read the normal examples that lie beside a streaming step, if they do.

    Raises:
        ValueError: the sheet is damaged.
    """
    sheet = examples_beside(path)
    return Examples(sheet.read_bytes()) if sheet.is_file() else None


def read_info(held: str | None, path: Path) -> StepInfo:
    """Read the facts that an exported file holds.

    Raises:
        ValueError: it holds none, or none that can be read.
    """
    if not held:
        msg = f"{path} is no streaming step of STMem. `anomalib export` writes one as stream.onnx or stream.xml."
        raise ValueError(msg)
    with refuse_damaged(path, "streaming step of this version"):
        return StepInfo.from_json(held)
