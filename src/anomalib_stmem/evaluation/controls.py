"""No-learning controls: what a frame scores without any network. A model must beat them to have learnt anything."""

import torch
from torch import Tensor

from ..model.perspective import Perspective
from ..model.scoring import blur
from .optical_flow import optical_flow

IN_PERSPECTIVE = ("patch of frame difference in perspective", "optical flow in perspective")
CONTROLS = (
    *("constant", "frame difference", "patch of frame difference", "optical flow", "darkness", "frame index"),
    *IN_PERSPECTIVE,
)


def control_scores(clips: Tensor, frame_indices: Tensor, perspective: Perspective | None = None) -> dict[str, Tensor]:
    """Score the last frame of each clip by the controls.

    Args:
        clips: ``(b, t, c, h, w)`` in [-1, 1], at least two frames each.
        frame_indices: ``(b,)``, number of the last frame in its video.
        perspective: learned from normal video; without it the controls :data:`IN_PERSPECTIVE` are left out.

    Returns:
        ``(b,)`` for each of :data:`CONTROLS`, higher = more anomalous: a constant; the mean squared difference to the
        frame before; the highest blurred squared difference; the highest blurred speed, by dense optical flow; one
        minus the mean brightness; the frame's number; and two of them in perspective.
    """
    difference = ((clips[:, -1] - clips[:, -2]) / 2).square().mean(dim=1)
    flow = optical_flow(clips[:, -1], clips[:, -2])
    scores = {
        "constant": torch.zeros(len(clips), device=clips.device),
        "frame difference": difference.mean(dim=(1, 2)),
        "patch of frame difference": _worst_patch(difference),
        "optical flow": _worst_patch(flow),
        "darkness": 1 - (clips[:, -1].mean(dim=(1, 2, 3)) + 1) / 2,
        "frame index": frame_indices.float(),
    }
    if perspective is not None:
        maps = {"motion": difference, "flow": flow}
        flat = {name: values / perspective.profile(name, values.shape[-2]) for name, values in maps.items()}
        scores |= dict(zip(IN_PERSPECTIVE, map(_worst_patch, flat.values()), strict=True))
    return scores


def _worst_patch(maps: Tensor) -> Tensor:
    return blur(maps[:, None]).amax(dim=(1, 2, 3))
