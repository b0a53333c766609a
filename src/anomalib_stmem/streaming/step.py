"""The streaming step as one graph: what every backend runs, from a decoded frame to a calibrated score."""

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from anomalib.data import InferenceBatch
from torch import Tensor, nn

from ..checkpoint import fingerprint

if TYPE_CHECKING:
    from ..lightning_model import STMem

OUTPUTS = ("pred_score", "pred_label", "anomaly_map")  # before the new state


@dataclass(frozen=True)
class StepInfo:
    """What a caller must know of a step; travels with every exported file."""

    window: int  # frames that a stream must see before it can judge the next
    image_size: tuple[int, int]  # height, width of the frames that the step takes
    is_calibrated: bool  # whether scores have a threshold
    fingerprint: str  # of all weights and calibration; a state fits only the model that made it
    state: dict[str, tuple[int, ...]]  # shape of each part of the state, for one video
    frame_rate: float | None = None  # of the training video, frames per second; None where it is not known
    threshold_basis: str = ""  # what the threshold rests on, in words
    options: dict[str, Any] = field(default_factory=dict)  # of the model, as far as they are plain data
    epochs: int = 0  # that it was trained

    def to_json(self) -> str:
        """Write as text, for the metadata of a file."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "StepInfo":
        """Read what :meth:`to_json` wrote."""
        read = json.loads(text)
        read["image_size"] = tuple(read["image_size"])
        read["state"] = {name: tuple(shape) for name, shape in read["state"].items()}
        return cls(**read)

    def empty_state(self, num_videos: int) -> dict[str, Tensor]:
        """Return zeros for ``num_videos`` streams that have seen nothing."""
        return {name: torch.zeros(num_videos, *shape) for name, shape in self.state.items()}


class StreamStep(nn.Module):
    """Pre-processing, the network's step and post-processing.

    Args:
        module: a trained :class:`~anomalib_stmem.STMem`; copied, and left as it is.
    """

    def __init__(self, module: "STMem") -> None:
        super().__init__()
        self.pre_processor = copy.deepcopy(module.pre_processor)
        self.network = copy.deepcopy(module.model)
        self.post_processor = copy.deepcopy(module.post_processor)
        size = tuple(module.hparams["image_size"])
        self.eval()
        self.info = StepInfo(
            window=self.network.window,
            image_size=size,
            is_calibrated=bool(getattr(self.post_processor, "is_calibrated", False)),
            fingerprint=fingerprint(module),
            state={name: tuple(part.shape[1:]) for name, part in self.network.empty_state(1, size).items()},
            frame_rate=_known(getattr(self.post_processor, "frame_rate", None)),
            threshold_basis=getattr(self.post_processor, "basis", str)(),
            options=_plain(module.hparams),
            epochs=module.loaded_epochs,
        )

    def forward(self, frames: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Judge one frame of each of ``b`` videos.

        Args:
            frames: ``(b, 3, h, w)`` RGB in [0, 1], of the model's image size.
            state: in the order of ``info.state``, ``(b, ...)`` each.

        Returns:
            Calibrated ``pred_score (b,)``, ``pred_label (b,)``, ``anomaly_map (b, 1, h, w)``, then the new state.
        """
        frames = self.pre_processor(frames) if self.pre_processor is not None else frames
        names = self.info.state
        score, anomaly_map, new = self.network.step(frames, dict(zip(names, state, strict=True)))
        label = torch.zeros_like(score)
        if self.post_processor is not None:
            judged = self.post_processor(InferenceBatch(pred_score=score, anomaly_map=anomaly_map))
            score, anomaly_map = judged.pred_score, judged.anomaly_map
            label = label if judged.pred_label is None else judged.pred_label
        return (score, label.bool(), anomaly_map, *(new[name] for name in names))


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what JSON gives back as it was."""
    lists = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
    return {name: value for name, value in lists.items() if isinstance(value, str | int | float | list | None)}


def _known(rate: Tensor | None) -> float | None:
    return None if rate is None or bool(rate.isnan()) else float(rate)
