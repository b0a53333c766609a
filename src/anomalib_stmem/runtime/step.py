"""The streaming step as one graph, from a decoded frame to a calibrated score: what torch runs and export writes."""

import copy

import torch
from torch import Tensor, nn

from ..model.perspective import STILL
from ..model.torch_model import Judged
from ..model.trained_model import TrainedModel, plain_options
from .step_info import StepInfo


class StreamStep(nn.Module):
    """Preparation of a frame, the network's step, score and calibration.

    Args:
        trained: copied, and left as it is.
        measures: whether to stop at what is measured: ``pred_score`` is then ``(b, len(MEASUREMENTS))``, maps are raw,
            and nothing is labelled.
    """

    def __init__(self, trained: TrainedModel, measures: bool = False) -> None:
        super().__init__()
        self.trained, self.measures = copy.deepcopy(trained), measures
        self.eval()
        empty = self.trained.network.empty_state(1, trained.image_size)
        appearance = trained.network.appearance
        self.info = StepInfo(
            window=trained.window,
            image_size=trained.image_size,
            is_calibrated=trained.is_calibrated,
            fingerprint=trained.fingerprint(),
            state={name: tuple(part.shape[1:]) for name, part in empty.items()},
            frame_rate=trained.frame_rate,
            proportion=trained.proportion,
            threshold_basis=trained.explain_threshold(),
            options=plain_options(trained.options),
            epochs=trained.epochs,
            sources=trained.network.head.sources,
            ignored=trained.ignored,
            normal=None if trained.normal is None else trained.normal.to_plain(),
            look_every=0 if appearance is None else appearance.every,
            noise=STILL if appearance is None else float(appearance.still),
        )

    def forward(self, frames: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Judge one frame of each of ``b`` videos.

        Args:
            frames: ``(b, 3, h, w)`` RGB in [0, 1], of the model's image size.
            state: in the order of ``info.state``, ``(b, ...)`` each.

        Returns:
            Calibrated ``pred_score (b,)``, ``pred_label (b,)``, ``anomaly_map (b, 1, h, w)``, ``odd (b, sources)``
            (above 0: as odd as normal video never was), then the new state.
        """
        names, network = self.info.state, self.trained.network
        prepared = self.trained.preparation(frames)
        measurements, anomaly_map, new = network.step(prepared, dict(zip(names, state, strict=True)))
        nothing = torch.zeros_like(measurements[:, 0])
        if self.measures:
            judged = Judged(measurements, None, anomaly_map)
        else:
            judged = self.trained.calibrated(Judged(network.head(measurements), None, anomaly_map))
        label = nothing if judged.pred_label is None else judged.pred_label
        odd = network.head.odd(measurements)
        return (judged.pred_score, label.bool(), judged.anomaly_map, odd, *(new[name] for name in names))


class LookStep(nn.Module):
    """What a stream does every n-th frame, as a graph of its own: see how things look.

    Args:
        trained: with an appearance; copied, and left as it is.
    """

    def __init__(self, trained: TrainedModel) -> None:
        super().__init__()
        self.trained = copy.deepcopy(trained)
        self.eval()

    def forward(self, frames: Tensor, frame: Tensor) -> tuple[Tensor, Tensor]:
        """Look at one frame of each of ``b`` videos.

        Args:
            frames: ``(b, 3, h, w)`` RGB in [0, 1], of the model's image size.
            frame: the one before, as the state has it.

        Returns:
            ``surprise`` and ``nearest``, which are parts of the state.
        """
        looks = self.trained.network.look(self.trained.preparation(frames), frame)
        return looks.surprise, looks.nearest.to(frame.dtype)
