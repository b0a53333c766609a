"""Judge clips with an exported graph; anomalib's inferencers refuse their five axes."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..model.torch_model import Judged
from ..model.trained_model import ModelOrPath, as_trained
from .backend import need, openvino_core


class ClipPredictor:
    """Runs what ``anomalib export --model STMem`` wrote, or a checkpoint, on clips.

    Example:
        >>> from anomalib_stmem import ClipPredictor
        >>> predictor = ClipPredictor("weights/openvino/model.xml")  # doctest: +SKIP
        >>> predictor.predict(clips).pred_score                      # doctest: +SKIP

    Args:
        path: a graph of clips (``.onnx``, or OpenVINO's ``.xml``), a checkpoint (``.ckpt``), or a model. anomalib's
            ``.pt`` is a pickle and can run any code when loaded, so it is not opened here.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is none of these.
        ModuleNotFoundError: its runtime is not installed.
    """

    def __init__(self, path: ModelOrPath) -> None:
        suffix = Path(path).suffix if isinstance(path, str | Path) else ".ckpt"
        if suffix not in {".onnx", ".xml", ".ckpt"}:
            msg = (
                f"{path} cannot be run on clips. Expected .onnx or .xml of `anomalib export`, or a checkpoint (.ckpt)."
            )
            raise ValueError(msg)
        if isinstance(path, str | Path) and not Path(path).is_file():
            msg = f"There is no file {Path(path).resolve()}."
            raise FileNotFoundError(msg)
        self._run: Any = None
        self._shape: tuple[int | None, ...]
        self._least = 0  # frames of a clip; an exported graph has its one length
        if suffix == ".ckpt":
            trained = as_trained(path)
            self._shape = (None, None, 3, *trained.image_size)
            self._least = trained.window + 1
            self._run = lambda clips: trained.eval()(torch.from_numpy(clips))._asdict()
        elif suffix == ".onnx":
            session = need("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])
            names = [output.name for output in session.get_outputs()]
            self._shape = tuple(side if isinstance(side, int) else None for side in session.get_inputs()[0].shape)
            self._run = lambda clips: dict(zip(names, session.run(None, {"input": clips}), strict=True))
        else:
            compiled = openvino_core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            names = [output.get_any_name() for output in compiled.outputs]
            sides = compiled.input(0).partial_shape
            self._shape = tuple(None if side.is_dynamic else side.get_length() for side in sides)
            self._run = lambda clips: dict(zip(names, compiled(clips).values(), strict=True))
        if len(self._shape) != 5:
            msg = f"{path} takes inputs of shape {self._shape}, not clips. A streaming step is run by FrameStream."
            raise ValueError(msg)

    @torch.no_grad()
    def predict(self, clips: NDArray[Any] | Tensor) -> Judged:
        """Judge clips.

        Args:
            clips: ``(b, n, 3, h, w)`` RGB, uint8 or floats in [0, 1], of the size and length of the graph.

        Returns:
            ``pred_score`` and ``pred_label`` ``(b,)``, ``anomaly_map`` and ``pred_mask`` ``(b, 1, h, w)``; one row per
            judged frame, clip by clip, where clips are longer than the window and the judged frame.

        Raises:
            ValueError: the clips have another shape, or values that no picture has.
        """
        array = clips.cpu().numpy() if isinstance(clips, Tensor) else clips
        fits = len(array.shape) == 5 and all(
            want in {None, side} for want, side in zip(self._shape, array.shape, strict=True)
        )
        if not fits or array.shape[1] < self._least:
            wanted = ", ".join("any" if side is None else str(side) for side in self._shape)
            msg = f"This graph takes clips of shape ({wanted}): batch, frames, RGB, height, width. Got {array.shape}."
            raise ValueError(msg)
        scaled = np.asarray(array, np.float32) / (255 if array.dtype == np.uint8 else 1)
        if not (scaled.min() >= 0 and scaled.max() <= 1):  # false for NaN too
            found = f"values from {array.min()} to {array.max()}"
            msg = f"The clips have {found}. Floats must be finite and in [0, 1], bytes uint8."
            raise ValueError(msg)
        fields = {name: None if value is None else torch.as_tensor(value) for name, value in self._run(scaled).items()}
        return Judged(**{name: cast("Any", fields.get(name)) for name in Judged._fields})
