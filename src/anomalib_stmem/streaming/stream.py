"""Live video: push a frame, get its verdict. State is a few maps per camera, whatever the length of the video."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.frames import Size, planes
from .backends import BackendName, open_backend

if TYPE_CHECKING:
    from ..lightning_model import STMem

Frame = NDArray[Any] | Tensor
ONLY = "camera"  # name of the one camera of a FrameStream


@dataclass(frozen=True)
class Verdict:
    """What the model says of one frame."""

    frame_index: int  # of the frame in its video, from 0
    score: float  # in (0, 1), 0.5 at the threshold; raw where the model is not calibrated
    is_anomalous: bool | None  # None where the model has no threshold
    anomaly_map: NDArray[np.float32]  # (h, w) of the model's image size, on the scale of the score


class FrameStreams:
    """Several cameras judged together, each with a state of its own.

    A camera's first ``window`` frames after its start or :meth:`reset` are warm-up: they have no verdict. Afterwards
    each frame is judged by exactly the frames of its window, as in a test of whole clips. Frames must come at the
    frame rate of the training video; at a gap, :meth:`reset`.

    Args:
        model: a model, its checkpoint, or its exported step; as :func:`~.backends.open_backend` takes it.
        cameras: their names, which :meth:`push` uses.
        backend: ``torch``, ``onnxruntime`` or ``openvino``; ``auto`` is the one of the file.
        **options: of :func:`~.backends.open_backend`: ``precision``, ``compiled``, ``device``.

    Raises:
        ValueError: no camera, or two of one name.
    """

    def __init__(
        self,
        model: "STMem | Path | str",
        cameras: Sequence[Hashable],
        backend: BackendName = "auto",
        **options: Any,
    ) -> None:
        if not cameras or len(set(cameras)) != len(cameras):
            msg = f"cameras must be one or more different names; got {list(cameras)}."
            raise ValueError(msg)
        self._backend = open_backend(model, backend, **options)
        self.info = self._backend.info
        self._rows = {name: row for row, name in enumerate(cameras)}
        self._seen = [0] * len(cameras)  # frames since the start or the last reset
        self._sizes: list[Size | None] = [None] * len(cameras)  # of the frames that come in
        empty = self.info.empty_state(len(cameras))
        self._state = {name: part.to(self._backend.device) for name, part in empty.items()}

    def push(self, frames: Mapping[Hashable, Frame]) -> dict[Hashable, Verdict | None]:
        """Judge the next frame of some or all cameras.

        Args:
            frames: by camera. An array is taken as cv2 reads it, ``(h, w, 3)`` BGR or ``(h, w)`` grey; a tensor as
                torchvision does, ``(3, h, w)`` RGB or ``(1, h, w)``. uint8, or floats in [0, 1]; any size.

        Returns:
            A verdict for each of these cameras; ``None`` while it is warming up (see :meth:`frames_needed`).

        Raises:
            KeyError: there is no such camera.
            TypeError: not an array or tensor of uint8 or floats.
            ValueError: a frame has another size than the camera's before, another shape, or values that no picture
                has. Nothing has changed then, and the streams go on with the next frame.
        """
        rows, sizes, pictures = [], [], []
        for camera, frame in frames.items():
            rows.append(self._row(camera))
            sizes.append(self._check(frame, camera))
            pictures.append(_to_planes(frame, self.info.image_size))
        if not rows:
            return {}
        everyone = rows == list(range(len(self._rows)))
        state = self._state if everyone else {name: part[rows] for name, part in self._state.items()}
        # Stacked by numpy: torch's threads, once awake, would spin beside those of another runtime.
        scores, labels, maps, state = self._backend.run(torch.from_numpy(np.stack(pictures)), state)
        if everyone:
            self._state = state
        else:
            for name, part in state.items():
                self._state[name] = self._state[name].index_copy(0, torch.tensor(rows, device=part.device), part)
        verdicts: dict[Hashable, Verdict | None] = {}
        scores, labels, maps = scores.cpu(), labels.cpu(), maps.float().cpu()
        for place, (camera, row) in enumerate(zip(frames, rows, strict=True)):
            index = self._seen[row]
            self._seen[row], self._sizes[row] = index + 1, sizes[place]
            verdicts[camera] = None
            if index >= self.info.window:
                label = bool(labels[place]) if self.info.is_calibrated else None
                verdicts[camera] = Verdict(index, float(scores[place]), label, maps[place, 0].numpy())
        return verdicts

    def frames_needed(self, camera: Hashable) -> int:
        """Return how many frames the camera must still see before one is judged; 0 when it is warm."""
        return max(0, self.info.window - self._seen[self._row(camera)])

    def reset(self, camera: Hashable | None = None) -> None:
        """Forget what a camera (or all) has seen: after a cut, a gap, or a change of size."""
        for row in range(len(self._rows)) if camera is None else [self._row(camera)]:
            self._seen[row], self._sizes[row] = 0, None
            for part in self._state.values():
                part[row].zero_()

    def save(self) -> dict[str, Any]:
        """Return everything that :meth:`restore` needs, as plain data for ``torch.save``."""
        return {
            "fingerprint": self.info.fingerprint,
            "cameras": list(self._rows),
            "seen": list(self._seen),
            "sizes": list(self._sizes),
            "state": {name: part.to("cpu", copy=True) for name, part in self._state.items()},
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on where :meth:`save` was called; the backend may be another one.

        Raises:
            ValueError: it was saved from another model, or from other cameras. Nothing has changed then.
        """
        if saved.get("fingerprint") != self.info.fingerprint:
            msg = (
                f"This state was saved from another model ({saved.get('fingerprint')}, this one is "
                f"{self.info.fingerprint}), which it would not fit. Start the stream anew."
            )
            raise ValueError(msg)
        if saved["cameras"] != list(self._rows):
            msg = f"This state is of cameras {saved['cameras']}; this stream has {list(self._rows)}."
            raise ValueError(msg)
        self._seen = list(saved["seen"])
        self._sizes = [None if size is None else (size[0], size[1]) for size in saved["sizes"]]
        self._state = {name: saved["state"][name].to(self._backend.device, copy=True) for name in self.info.state}

    def _row(self, camera: Hashable) -> int:
        if camera not in self._rows:
            msg = f"There is no camera {camera!r}; there are {list(self._rows)}."
            raise KeyError(msg)
        return self._rows[camera]

    def _check(self, frame: Frame, camera: Hashable) -> Size:
        """Return height and width of a frame that can be judged."""
        row = self._rows[camera]
        where = f"Frame {self._seen[row]} of {camera!r}"
        kind = frame.dtype if isinstance(frame, np.ndarray | Tensor) else None
        if kind is None or not (str(kind).endswith("uint8") or "float" in str(kind)):
            found = f"{type(frame).__name__} of {kind}"
            msg = f"{where} is {found}. Expected an array or tensor of uint8, or floats in [0, 1]."
            raise TypeError(msg)
        is_tensor = isinstance(frame, Tensor)
        channels = 1 if frame.ndim == 2 else frame.shape[0 if is_tensor else -1]
        if frame.ndim not in {2, 3} or channels not in {1, 3} or 0 in frame.shape:
            wanted = "(3, h, w) or (1, h, w)" if is_tensor else "(h, w, 3) or (h, w)"
            msg = f"{where} has shape {tuple(frame.shape)}. Expected {wanted}, one frame at a time."
            raise ValueError(msg)
        if "float" in str(kind):
            low, high = float(frame.min()), float(frame.max())
            if not (low >= 0 and high <= 1):  # false for NaN too
                msg = f"{where} has values from {low} to {high}. Floats must be finite and in [0, 1], bytes uint8."
                raise ValueError(msg)
        height, width = frame.shape[-2:] if is_tensor or frame.ndim == 2 else frame.shape[:2]
        size, before = (int(height), int(width)), self._sizes[row]
        if before is not None and size != before:
            msg = f"{where} is {size[0]}x{size[1]} pixels, the ones before {before[0]}x{before[1]}. Call reset() first."
            raise ValueError(msg)
        return size


class FrameStream:
    """One camera: :class:`FrameStreams` without names.

    Example:
        >>> from anomalib_stmem import FrameStream
        >>> stream = FrameStream("model.ckpt", backend="openvino")  # doctest: +SKIP
        >>> for frame in camera:                                    # doctest: +SKIP
        ...     verdict = stream.push(frame)
        ...     if verdict is not None and verdict.is_anomalous:
        ...         print(verdict.frame_index, verdict.score)

    Args:
        model: as in :class:`FrameStreams`.
        backend: as in :class:`FrameStreams`.
        **options: as in :class:`FrameStreams`.
    """

    def __init__(
        self,
        model: "STMem | Path | str",
        backend: BackendName = "auto",
        **options: Any,
    ) -> None:
        self._streams = FrameStreams(model, [ONLY], backend, **options)
        self.info = self._streams.info

    def push(self, frame: Frame) -> Verdict | None:
        """Judge the next frame, or return ``None`` while warming up. Frames and errors as :meth:`FrameStreams.push`."""
        return self._streams.push({ONLY: frame})[ONLY]

    @property
    def frames_needed(self) -> int:
        """How many frames must still be seen before one is judged."""
        return self._streams.frames_needed(ONLY)

    def reset(self) -> None:
        """Forget what was seen: after a cut, a gap, or a change of size."""
        self._streams.reset()

    def save(self) -> dict[str, Any]:
        """Return everything that :meth:`restore` needs, as plain data for ``torch.save``."""
        return self._streams.save()

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on where :meth:`save` was called. Errors as :meth:`FrameStreams.restore`."""
        self._streams.restore(saved)


def _to_planes(frame: Frame, size_hw: Size) -> NDArray[np.float32]:
    """Resize as the datamodules do, and map to ``(3, h, w)`` RGB floats in [0, 1]."""
    if isinstance(frame, Tensor):
        image = np.ascontiguousarray(frame.detach().cpu().permute(1, 2, 0).flip(-1) if frame.ndim == 3 else frame.cpu())
    else:
        image = frame
    if image.dtype != np.uint8:
        image = image.astype(np.float32)
    if image.ndim == 2 or image.shape[2] == 1:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    picture = planes(image, size_hw)
    scaled: NDArray[np.float32] = picture.astype(np.float32, copy=False)
    return scaled / np.float32(255) if picture.dtype == np.uint8 else scaled
