"""What a caller must know of a streaming step; it travels with every exported file. Without torch."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

OUTPUTS = ("pred_score", "pred_label", "anomaly_map", "odd")  # of the step, before the new state
LOOK_INPUTS = ("frames", "frame")  # of the look: a frame of each video, and from the state the one before
LOOK_OUTPUTS = ("surprise", "nearest")  # which are parts of the state


@dataclass(frozen=True)
class StepInfo:
    """The facts of a step that runs without its checkpoint."""

    window: int  # frames that a stream must see before it can judge the next
    image_size: tuple[int, int]  # height, width of the frames that the step takes
    is_calibrated: bool  # whether scores have a threshold
    fingerprint: str  # of all weights and calibration; a state fits only the model that made it
    state: dict[str, tuple[int, ...]]  # shape of each part of the state, for one video
    frame_rate: float | None = None  # of the training video, frames per second; None where it is not known
    threshold_basis: str = ""  # what the threshold rests on, in words
    options: dict[str, Any] = field(default_factory=dict)  # of the model, as far as they are plain data
    epochs: int = 0  # that it was trained
    proportion: float | None = None  # width by height of the training video's pictures; None where it is not known
    sources: tuple[str, ...] = ("motion",)  # of the score, in the order of the output ``odd``
    ignored: list[list[tuple[float, float]]] = field(default_factory=list)  # polygons of what does not count
    normal: dict[str, Any] | None = None  # how pictures usually are, as model.normal_view.NormalView has it in plain
    look_every: int = 0  # frames from one look to the next; 0 where looks do not count
    noise: float = 0.0  # squared difference on the [0, 1] scale up to which a square of 8x8 pixels stands still

    @property
    def tells_why(self) -> bool:
        """Whether the score has several sources, of which one may be the odd one."""
        return len(self.sources) > 1

    def to_json(self) -> str:
        """Write as text, for the metadata of a file."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "StepInfo":
        """Read what :meth:`to_json` wrote."""
        read = json.loads(text)
        read["image_size"] = tuple(read["image_size"])
        read["sources"] = tuple(read["sources"])
        read["state"] = {name: tuple(shape) for name, shape in read["state"].items()}
        return cls(**read)
