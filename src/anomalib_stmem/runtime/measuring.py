"""What calibration needs of a live or recorded source: the measurements of each frame, before any score."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..evaluation.calibration import summary_of_maps
from ..model.normal_view import Planes
from ..model.trained_model import TrainedModel
from ..video.frame import Image
from .step import StreamStep
from .stream import ONLY, Streams
from .torch_backend import TorchBackend


class Measured(NamedTuple):
    """One frame, measured; on the CPU."""

    measurements: Tensor  # (len(MEASUREMENTS),), of which those that decide the score are filled in
    map_summary: Tensor  # (2,), as evaluation.calibration takes it


class MeasuringStream(Streams):
    """One camera, measured frame by frame and not judged.

    Args:
        trained: whose network measures.
    """

    def __init__(self, trained: TrainedModel) -> None:
        super().__init__(TorchBackend(StreamStep(trained, measures=True)), [ONLY])
        self.picture: Planes | None = None  # the latest that was measured

    def push(self, image: Image) -> Measured | None:
        """Measure the next frame; ``None`` while warming up. Errors as :meth:`~.stream.FrameStreams.push`."""
        indices, pictures, (measurements, _, maps, _) = self.advance({ONLY: image})
        if indices[ONLY] < self.info.window:
            return None
        self.picture = pictures[0]
        return Measured(torch.from_numpy(measurements[0]), summary_of_maps(torch.from_numpy(maps))[0])
