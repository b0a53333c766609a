"""Live video: push a frame, get its verdict. State is a few maps per camera, whatever the length of the video."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..model.camera_watch import CameraWatch
from ..model.decision import Decision, Rule
from ..model.normal_view import NormalView, Trouble
from ..results.judged_frame import Verdict
from ..video.frame import Image
from ..video.frame_rate import ASSUMED_RATE
from .backend import Array
from .open_backend import BackendName, open_backend
from .streams import Streams

if TYPE_CHECKING:  # torch is imported by the torch backend only
    from torch import Tensor

    from ..model.trained_model import ModelOrPath

ONLY = "camera"  # name of the one camera of a FrameStream


class FrameStreams(Streams):
    """Several cameras judged together, each with a state of its own.

    A camera's first ``window`` frames after its start or :meth:`reset` are warm-up: they have no verdict. Afterwards
    each frame is judged by exactly the frames of its window, as in a test of whole clips. Where nothing has moved for
    longer than that, the last verdict stands until something does (:mod:`~.stillness`). Frames must come at the frame
    rate of the training video; at a gap, :meth:`reset`.

    Args:
        model: a model, its checkpoint, or its exported step; as :func:`~.open_backend.open_backend` takes it.
        cameras: their names, which :meth:`push` uses.
        backend: ``torch``, ``onnxruntime`` or ``openvino``; ``auto`` is the one of the file.
        least_seconds: that the level must be above the threshold before there is an alarm.
        **options: of :func:`~.open_backend.open_backend`: ``precision``, ``compiled``, ``device``.

    Raises:
        ValueError: no camera, or two of one name.
    """

    def __init__(
        self,
        model: "ModelOrPath",
        cameras: Sequence[Hashable],
        backend: BackendName = "auto",
        least_seconds: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(open_backend(model, backend, **options), cameras)
        rule = Rule.at_rate(self.info.frame_rate or ASSUMED_RATE, least_seconds=least_seconds)
        self._decisions = [Decision(rule) for _ in cameras]
        plain, rate = self.info.normal, self.info.frame_rate or ASSUMED_RATE
        normal = None if plain is None else NormalView.from_plain(plain)
        self._watches = [] if normal is None else [CameraWatch(normal, rate) for _ in cameras]

    def trouble(self, camera: Hashable) -> Trouble | None:
        """Say what is wrong with the pictures of a camera, if something has been for a while."""
        return self._watches[self._row(camera)].trouble if self._watches else None

    def reset(self, camera: Hashable | None = None) -> None:
        """As :meth:`Streams.reset`; an alarm that was on is over."""
        super().reset(camera)
        for row in range(len(self._decisions)) if camera is None else [self._row(camera)]:
            self._decisions[row].reset()
            if self._watches:
                self._watches[row].reset()

    def save(self) -> dict[str, Array]:
        """As :meth:`Streams.save`, with what the alarms go by."""
        saved = super().save() | {"decisions": np.stack([one.save() for one in self._decisions])}
        return saved | {"watches": np.array([one.save() for one in self._watches])}

    def restore(self, saved: Mapping[str, Array]) -> None:
        """As :meth:`Streams.restore`."""
        super().restore(saved)
        for decision, row in zip(self._decisions, saved["decisions"], strict=True):
            decision.restore(row)
        for watch, row in zip(self._watches, saved["watches"], strict=True):
            watch.restore(row)

    def push(self, frames: Mapping[Hashable, "Array | Tensor"]) -> dict[Hashable, Verdict | None]:
        """Judge the next frame of some or all cameras.

        Args:
            frames: by camera. An array is taken as cv2 reads it, ``(h, w, 3)`` BGR or ``(h, w)`` grey; a tensor as
                torchvision does, ``(3, h, w)`` RGB or ``(1, h, w)``. uint8, or floats in [0, 1]; any size.

        Returns:
            A verdict for each of these cameras; ``None`` while it is warming up (see :meth:`frames_needed`), and while
            its picture cannot be judged (see :meth:`trouble`).

        Raises:
            KeyError: there is no such camera.
            TypeError: not an array or tensor of uint8 or floats.
            ValueError: a frame has another size than the camera's before, another shape, or values that no picture
                has. Nothing has changed then, and the streams go on with the next frame.
        """
        if not frames:
            return {}
        indices, pictures, answers = self.advance(frames)
        rows = zip(*answers, strict=True)
        seen = zip(indices.items(), pictures, rows, strict=True)
        return {camera: self._verdict(camera, index, picture, row) for (camera, index), picture, row in seen}

    def glance(self, camera: Hashable, frame: Image) -> Verdict | None:
        """Judge the next frame of a camera without the network, which may be busy with others in another thread.

        Returns:
            What :meth:`push` would; ``None`` where something has moved, or is wrong with the picture. Nothing has
            changed then.
        """
        if self._watches and self._watches[self._row(camera)].is_silent:
            return None
        known = self.advance_at_rest(camera, frame)
        return None if known is None else self._verdict(camera, *known)

    def _verdict(self, camera: Hashable, index: int, picture: Array, answers: tuple[Array, ...]) -> Verdict | None:
        row = self._row(camera)
        score, _, anomaly_map, odd = answers
        decision = self._decisions[row]
        if self._is_silent(camera, picture):
            decision.reset()
            return None
        if index < self.info.window:
            return None
        is_alarm = decision.push(float(score)) if self.info.is_calibrated else None
        oddness = dict(zip(self.info.sources, odd.tolist(), strict=True)) if self.info.tells_why else {}
        shown = anomaly_map[0].astype(np.float32, copy=False)
        item, nearest = self._state.get("nearest"), None
        if item is not None and self._backend.examples is not None:
            nearest = self._backend.examples[int(item[row])]
        return Verdict(index, float(score), is_alarm, shown, decision.level, oddness, nearest)

    def _is_silent(self, camera: Hashable, picture: NDArray[np.float32]) -> bool:
        """Look at the picture of a camera, and say whether movement cannot be judged in it."""
        if not self._watches:
            return False
        watch = self._watches[self._row(camera)]
        watch.push(picture, is_new=not self.is_at_rest(camera))
        return watch.is_silent


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
        model: "ModelOrPath",
        backend: BackendName = "auto",
        **options: Any,
    ) -> None:
        self._streams = FrameStreams(model, [ONLY], backend, **options)
        self.info = self._streams.info

    def push(self, frame: "Array | Tensor") -> Verdict | None:
        """Judge the next frame, or return ``None`` while warming up. Frames and errors as :meth:`FrameStreams.push`."""
        return self._streams.push({ONLY: frame})[ONLY]

    @property
    def frames_needed(self) -> int:
        """How many frames must still be seen before one is judged."""
        return self._streams.frames_needed(ONLY)

    @property
    def trouble(self) -> Trouble | None:
        """What is wrong with the pictures, if something has been for a while."""
        return self._streams.trouble(ONLY)

    def reset(self) -> None:
        """Forget what was seen: after a cut, a gap, or a change of size."""
        self._streams.reset()

    def save(self) -> dict[str, Array]:
        """Return everything that :meth:`restore` needs, as :meth:`FrameStreams.save`."""
        return self._streams.save()

    def restore(self, saved: Mapping[str, Array]) -> None:
        """Go on where :meth:`save` was called. Errors as :meth:`FrameStreams.restore`."""
        self._streams.restore(saved)
