"""The training objective (Sec. II-C, Eqs. 9-13)."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .autoencoder import StreamPrediction
from .memory import Recall
from .torch_model import Expectation, frame_differences

Reduction = Literal["mean", "sum"]


def prediction_loss(predicted: Tensor, actual: Tensor, reduction: Reduction = "mean") -> Tensor:
    """``L_p = ||I_hat - I||^2`` (Eq. 9) of ``(b, s, c, h, w)`` frames in [-1, 1].

    Args:
        predicted: the frames (or differences) that a stream expected.
        actual: the frames (or differences) that came.
        reduction: ``mean`` over everything; ``sum`` is the literal norm, averaged over the ``b*s`` frames only.
    """
    error = (predicted.float() - actual).square()
    return error.mean() if reduction == "mean" else error.sum() / (error.shape[0] * error.shape[1])


def separation_loss(recall: Recall, a: float, b: float, reduction: Reduction = "mean") -> Tensor:
    """Feature discreteness loss ``L_s`` (Eq. 10), a quadruplet loss with hinges.

    ``[|q-p_p|^2 - |q-p_n1|^2 + a]_+ + [|q-p_p|^2 - |p_n2-p_n1|^2 + b]_+`` with p_p, p_n1, p_n2 the nearest, second and
    third item. Between unit vectors ``|u-v|^2 = 2 - 2 u.v``, so the similarities hold all of it. Where the items
    receive no gradient (the default, as in Park et al. 2020), ``|p_n2-p_n1|`` is a constant of the step.

    Args:
        recall: of one memory.
        a: margin between nearest and second item; 2 in the paper.
        b: margin between nearest item and the distance of the other two; 1 in the paper.
        reduction: ``mean`` over maps and features; ``sum`` over the features of a map is the literal sum.
    """
    top, order = recall.nearest(3)  # (n, k, 3)
    nearest, second = 2 - 2 * top[..., 0], 2 - 2 * top[..., 1]
    between_items = 2 - 2 * recall.items @ recall.items.T
    others = between_items[order[..., 2], order[..., 1]]
    hinges = (nearest - second + a).clamp_min(0) + (nearest - others + b).clamp_min(0)
    return hinges.mean() if reduction == "mean" else hinges.sum(dim=-1).mean()


def stream_loss(
    prediction: StreamPrediction,
    actual: Tensor,
    separation_weight: float,
    a: float = 2.0,
    b: float = 1.0,
    reduction: Reduction = "mean",
) -> tuple[Tensor, Tensor, Tensor]:
    """``L_i = L_p + alpha * L_s`` of one stream (Eqs. 11-12); L_s is averaged over the scales that have a memory.

    Returns:
        The loss, and its parts L_p and L_s (zero without memory or without weight).
    """
    predicted = prediction_loss(prediction.frames, actual, reduction)
    recalls = prediction.recalls.values() if separation_weight else ()
    parts = [separation_loss(recall, a, b, reduction) for recall in recalls]
    separation = torch.stack(parts).mean() if parts else predicted.new_zeros(())
    return predicted + separation_weight * separation, predicted, separation


class Weights(NamedTuple):
    """The constants of the objective."""

    spatial: float = 0.5  # gamma_i of Eq. (13); the temporal stream has the rest
    separation: float = 0.1  # alpha_s = beta_s of Eqs. (11)-(12)
    a: float = 2.0  # margins of Eq. (10)
    b: float = 1.0


def objective(
    expected: Expectation, clips: Tensor, window: int, weights: Weights, reduction: Reduction = "mean"
) -> tuple[Tensor, dict[str, Tensor]]:
    """``L = gamma_i L_i + (1 - gamma_i) L_x`` (Eq. 13), each stream against its own target; one alone weighs 1.

    Args:
        expected: of the clips.
        clips: ``(b, n, c, h, w)`` in [-1, 1].
        window: ``t``.
        weights: the constants.
        reduction: as in :func:`prediction_loss`.

    Returns:
        The loss, and the prediction and separation loss of each stream by name.
    """
    streams = {
        "spatial": (expected.spatial, clips[:, window - 1 :], weights.spatial),
        "temporal": (expected.temporal, frame_differences(clips)[:, window - 1 :], 1 - weights.spatial),
    }
    both = expected.spatial is not None and expected.temporal is not None
    total = clips.new_zeros(())
    parts: dict[str, Tensor] = {}
    for name, (stream, actual, weight) in streams.items():
        if stream is not None:
            loss, predicted, separation = stream_loss(
                stream, actual, weights.separation, weights.a, weights.b, reduction
            )
            total = total + (weight if both else 1.0) * loss
            parts |= {f"{name}_prediction_loss": predicted, f"{name}_separation_loss": separation}
    return total, parts
