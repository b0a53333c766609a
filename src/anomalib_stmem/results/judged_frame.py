"""A frame and what the model says of it."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..video.frame import Frame, Image

THRESHOLD = 0.5  # of calibrated scores and maps


@dataclass(frozen=True)
class Verdict:
    """What the model says of one frame."""

    frame_index: int  # of the frame in its video, from 0
    score: float  # in (0, 1), 0.5 at the threshold; raw where the model is not calibrated
    is_anomalous: bool | None  # whether there is an alarm (model.decision); None where the model has no threshold
    anomaly_map: NDArray[np.float32]  # (h, w) of the model's image size, on the scale of the score
    level: float = math.nan  # median of the latest scores, which decides
    odd: dict[str, float] = field(
        default_factory=dict
    )  # of each source of the score; above 0 as normal video never was
    nearest: Image | None = None  # the picture of normal video that is most like what looks oddest

    @property
    def shown(self) -> float:
        """What a person sees beside the threshold: the level, or the score where nothing decides."""
        return self.score if math.isnan(self.level) else self.level


@dataclass(frozen=True)
class JudgedFrame:
    """A frame with its verdict."""

    frame: Frame
    verdict: Verdict | None  # None while the stream is warming up, and where a frame cannot be judged
    label: bool | None = None  # whether it is abnormal, where that is known
    camera: str | None = None  # what is wrong with the picture itself, if anything: a Trouble, or "frozen"
    camera_since: float = math.nan  # seconds, of that

    @property
    def is_alarm(self) -> bool:
        """Whether there is an alarm."""
        return self.verdict is not None and bool(self.verdict.is_anomalous)
