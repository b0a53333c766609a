"""The streaming step in torch."""

from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..model.precision import Precision
from .backend import Answers, Array, State
from .step import LookStep, StreamStep
from .step_info import LOOK_OUTPUTS, OUTPUTS


class TorchBackend:
    """The step in torch, with its batch normalisations folded into the convolutions.

    Args:
        step: of a trained model.
        precision: as in :func:`~.open_backend.open_backend`.
        compiled: whether ``torch.compile`` fuses the step; on CUDA it also replays it as a CUDA graph.
        device: where to run. Defaults to CUDA if there is one.
    """

    def __init__(
        self,
        step: StreamStep,
        precision: Precision = "auto",
        compiled: bool = False,
        device: torch.device | str | None = None,
    ) -> None:
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        step = step.to(self._device)
        fold_batch_norms(step.trained.network)
        if precision != "auto":
            step.trained.network.precision = precision
        self.info, self.examples = step.info, step.trained.examples
        self._replayed = compiled and self._device.type == "cuda"
        self._look = LookStep(step.trained) if step.info.look_every else None
        mode = "reduce-overhead" if self._replayed else "default"
        self._step = torch.compile(step, mode=mode, dynamic=False) if compiled else step

    @torch.no_grad()
    def run(self, frames: Array, state: State) -> tuple[Answers, State]:
        """As :meth:`~.backend.Backend.run`; the state stays where the step runs."""
        answers = self._step(torch.from_numpy(frames).to(self._device, non_blocking=True), *state.values())
        if self._replayed:  # the next replay overwrites the memory of this one
            answers = tuple(answer.clone() for answer in answers)
        score, label, anomaly_map, odd = (answer.cpu().numpy() for answer in answers[: len(OUTPUTS)])
        return (score, label, anomaly_map, odd), dict(zip(state, answers[len(OUTPUTS) :], strict=True))

    @torch.no_grad()
    def look(self, frames: Array, before: torch.Tensor) -> State:
        """As :meth:`~.backend.Backend.look`."""
        assert self._look is not None  # noqa: S101  # streams ask only where looks count
        answers = self._look(torch.from_numpy(frames).to(self._device, non_blocking=True), before)
        return dict(zip(LOOK_OUTPUTS, answers, strict=True))

    def to_state(self, part: Array) -> torch.Tensor:
        """Bring a part of a state to where the step runs; a copy."""
        return torch.tensor(np.asarray(part, np.float32), device=self._device)

    @staticmethod
    def to_array(part: torch.Tensor) -> Array:
        """Bring it back; a copy."""
        return part.detach().cpu().numpy().copy()


def fold_batch_norms(network: nn.Module) -> None:
    """Fold every batch normalisation that follows a convolution into it, in place; for evaluation only."""
    for sequence in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for place, (one, two) in enumerate(pairwise(list(sequence))):
            if isinstance(one, nn.Conv2d) and type(two) is nn.BatchNorm2d:  # timm's also hold an activation
                sequence[place], sequence[place + 1] = fuse_conv_bn_eval(one, two), nn.Identity()
