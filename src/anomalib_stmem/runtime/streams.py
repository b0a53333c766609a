"""Several videos go through one step, frame by frame, each with a state of its own, whatever its length."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..video.frame import Image, Size, planes
from .backend import Answers, Array, Backend, empty_state
from .stillness import Stillness

if TYPE_CHECKING:  # torch is imported by the torch backend only
    from torch import Tensor


class Streams:
    """The frames of several cameras go through one backend, each camera with a state of its own.

    Args:
        backend: runs the step.
        cameras: their names.

    Raises:
        ValueError: no camera, or two of one name.
    """

    def __init__(self, backend: Backend, cameras: Sequence[Hashable]) -> None:
        if not cameras or len(set(cameras)) != len(cameras):
            msg = f"cameras must be one or more different names; got {list(cameras)}."
            raise ValueError(msg)
        self._backend, self.info = backend, backend.info
        self._rows = {name: row for row, name in enumerate(cameras)}
        self._seen = [0] * len(cameras)  # frames since the start or the last reset
        self._sizes: list[Size | None] = [None] * len(cameras)  # of the frames that come in
        self._state = empty_state(backend, len(cameras))
        memory = max(self.info.window, self.info.look_every)
        self._stillness = [Stillness(self.info.noise, memory) for _ in cameras]
        self._answers: list[tuple[Array, ...]] = [()] * len(cameras)  # the latest of the network

    def advance(self, frames: Mapping[Hashable, "Array | Tensor"]) -> tuple[dict[Hashable, int], list[Array], Answers]:
        """Let the next frame of some or all cameras through; arguments and errors as :meth:`FrameStreams.push`.

        Returns:
            Number of each camera's frame; the frames as the step takes them, and what it answers, one row per camera.
            Where nothing has moved for longer than the network looks back, it is what it answered the last time.
        """
        rows, sizes, pictures = [], [], []
        for camera, frame in frames.items():
            rows.append(self._row(camera))
            image = _as_array(frame)
            sizes.append(self._check(frame, image, camera))
            pictures.append(to_planes(image, self.info.image_size))
        self._run(rows, pictures)
        indices = {}
        for camera, row, size in zip(frames, rows, sizes, strict=True):
            indices[camera] = self._seen[row]
            self._seen[row], self._sizes[row] = self._seen[row] + 1, size
        answers = zip(*(self._answers[row] for row in rows), strict=True)
        score, label, anomaly_map, odd = (np.stack(parts) for parts in answers)
        return indices, pictures, (score, label, anomaly_map, odd)

    def _run(self, rows: list[int], pictures: list[Array]) -> None:
        """Let the network see where something has moved; of the others it would say what it said before."""
        moving = [place for place, row in enumerate(rows) if not self._stillness[row].rests(pictures[place])]
        if not moving:
            return
        rows, images = [rows[place] for place in moving], np.stack([pictures[place] for place in moving])
        everyone = rows == list(range(len(self._rows)))
        state = self._state if everyone else {name: part[rows] for name, part in self._state.items()}
        self._look(rows, images, state)
        answers, state = self._backend.run(images, state)
        if everyone:
            self._state = state
        else:
            for name, part in state.items():
                self._state[name][rows] = part
        for place, row in enumerate(rows):
            self._answers[row] = tuple(part[place] for part in answers)

    def _look(self, rows: list[int], images: Array, state: dict[str, Any]) -> None:
        """Where a look is due, see how the frames look; the state keeps it until the next."""
        every = self.info.look_every
        due = [place for place, row in enumerate(rows) if every and self._seen[row] and self._seen[row] % every == 0]
        if due:
            for name, part in self._backend.look(images[due], state["frame"][due]).items():
                state[name][due] = part

    def frames_needed(self, camera: Hashable) -> int:
        """Return how many frames the camera must still see before one is judged; 0 when it is warm."""
        return max(0, self.info.window - self._seen[self._row(camera)])

    def is_at_rest(self, camera: Hashable, frame: Image | None = None) -> bool:
        """Whether nothing has moved for a while: the network need not run then.

        Args:
            camera: which.
            frame: the next one, which may not have moved either. A gap before it needs no :meth:`reset` then.
        """
        row = self._row(camera)
        if not self._stillness[row].is_at_rest() or frame is None:
            return self._stillness[row].is_at_rest()
        is_same_size = frame.shape[:2] == self._sizes[row]
        return is_same_size and self._stillness[row].is_at_rest(to_planes(frame, self.info.image_size))

    def advance_at_rest(self, camera: Hashable, frame: Image) -> tuple[int, Array, tuple[Array, ...]] | None:
        """Let the next frame of a camera through without the network; ``None``, and no change, if it has moved.

        Returns:
            Number of the frame, the frame as the step takes it, and the latest answers.
        """
        row = self._row(camera)
        if not self._stillness[row].is_at_rest() or frame.shape[:2] != self._sizes[row]:
            return None
        picture = to_planes(frame, self.info.image_size)
        if not self._stillness[row].is_at_rest(picture):
            return None
        self._seen[row] += 1
        return self._seen[row] - 1, picture, self._answers[row]

    def reset(self, camera: Hashable | None = None) -> None:
        """Forget what a camera (or all) has seen: after a cut, a gap, or a change of size."""
        for row in range(len(self._rows)) if camera is None else [self._row(camera)]:
            self._seen[row], self._sizes[row] = 0, None
            self._stillness[row].reset()
            for part in self._state.values():
                part[row] = 0

    def save(self) -> dict[str, Array]:
        """Return everything that :meth:`restore` needs, as plain arrays: ``numpy.savez(path, **streams.save())``."""
        sizes = [(-1, -1) if size is None else size for size in self._sizes]
        return {
            "fingerprint": np.array(self.info.fingerprint),
            "cameras": np.array([str(camera) for camera in self._rows]),
            "seen": np.array(self._seen),
            "sizes": np.array(sizes),
        } | {f"state_{name}": self._backend.to_array(part) for name, part in self._state.items()}

    def restore(self, saved: Mapping[str, Array]) -> None:
        """Go on where :meth:`save` was called, from what it returned or ``numpy.load``; the backend may be another one.

        Raises:
            ValueError: it was saved from another model, or from other cameras. Nothing has changed then.
        """
        if str(saved["fingerprint"]) != self.info.fingerprint:
            msg = (
                f"This state was saved from another model ({saved['fingerprint']}, this one is "
                f"{self.info.fingerprint}), which it would not fit. Start the stream anew."
            )
            raise ValueError(msg)
        cameras = [str(camera) for camera in saved["cameras"]]
        if cameras != [str(camera) for camera in self._rows]:
            msg = f"This state is of cameras {cameras}; this stream has {list(self._rows)}."
            raise ValueError(msg)
        self._seen = [int(count) for count in saved["seen"]]
        self._sizes = [None if height < 0 else (int(height), int(width)) for height, width in saved["sizes"]]
        self._state = {name: self._backend.to_state(saved[f"state_{name}"]) for name in self.info.state}
        for stillness in self._stillness:  # the network sees the next frames, whether they are still or not
            stillness.reset()

    def _row(self, camera: Hashable) -> int:
        if camera not in self._rows:
            msg = f"There is no camera {camera!r}; there are {list(self._rows)}."
            raise KeyError(msg)
        return self._rows[camera]

    def _check(self, frame: "Array | Tensor", image: Array | None, camera: Hashable) -> Size:
        """Return height and width of a frame that can be judged."""
        row = self._rows[camera]
        where = f"Frame {self._seen[row]} of {camera!r}"
        kind = str(getattr(frame, "dtype", None))
        if image is None or not (kind.endswith("uint8") or "float" in kind):
            found = f"{type(frame).__name__} of {kind}"
            msg = f"{where} is {found}. Expected an array or tensor of uint8, or floats in [0, 1]."
            raise TypeError(msg)
        if image.ndim not in {2, 3} or (image.ndim == 3 and image.shape[2] not in {1, 3}) or 0 in image.shape:
            wanted = "(h, w, 3) or (h, w)" if isinstance(frame, np.ndarray) else "(3, h, w) or (1, h, w)"
            msg = f"{where} has shape {tuple(frame.shape)}. Expected {wanted}, one frame at a time."
            raise ValueError(msg)
        if "float" in kind:
            low, high = float(image.min()), float(image.max())
            if not (low >= 0 and high <= 1):  # false for NaN too
                msg = f"{where} has values from {low} to {high}. Floats must be finite and in [0, 1], bytes uint8."
                raise ValueError(msg)
        size, before = (image.shape[0], image.shape[1]), self._sizes[row]
        if before is not None and size != before:
            msg = f"{where} is {size[0]}x{size[1]} pixels, the ones before {before[0]}x{before[1]}. Call reset() first."
            raise ValueError(msg)
        return size


def _as_array(frame: "Array | Tensor") -> Array | None:
    """Return ``(h, w)`` or ``(h, w, c)`` BGR whatever was given; ``None`` for what is neither array nor tensor."""
    if isinstance(frame, np.ndarray):
        return frame
    if not hasattr(frame, "detach"):  # a tensor, without importing torch to ask
        return None
    image = (frame if str(frame.dtype) == "torch.uint8" else frame.float()).detach().cpu().numpy()
    return image[::-1].transpose(1, 2, 0) if image.ndim == 3 else image


def to_planes(image: Array | None, size_hw: Size) -> NDArray[np.float32]:
    """Resize as the datamodules do, and map to ``(3, h, w)`` RGB floats in [0, 1]."""
    assert image is not None  # noqa: S101  # checked before
    image = np.ascontiguousarray(image if image.dtype == np.uint8 else image.astype(np.float32))
    if image.ndim == 2 or image.shape[2] == 1:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    picture = planes(image, size_hw)
    scaled: NDArray[np.float32] = picture.astype(np.float32, copy=False)
    return scaled / np.float32(255) if picture.dtype == np.uint8 else scaled
