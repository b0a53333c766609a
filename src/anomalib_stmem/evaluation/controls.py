"""No-learning controls: what a frame scores without any network. A model must beat them to have learnt anything."""

import torch
from torch import Tensor

from ..model.scoring import blur

CONTROLS = ("constant", "frame difference", "patch of frame difference", "darkness", "frame index")


def control_scores(clips: Tensor, frame_indices: Tensor) -> dict[str, Tensor]:
    """Score the last frame of each clip by the controls.

    Args:
        clips: ``(b, t, c, h, w)`` in [-1, 1], at least two frames each.
        frame_indices: ``(b,)``, number of the last frame in its video.

    Returns:
        ``(b,)`` for each of :data:`CONTROLS`, higher = more anomalous: a constant; the mean squared difference to the
        frame before; the highest blurred squared difference; one minus the mean brightness; the frame's number.
    """
    difference = ((clips[:, -1] - clips[:, -2]) / 2).square().mean(dim=1)
    brightness = (clips[:, -1].mean(dim=(1, 2, 3)) + 1) / 2
    scores = (
        torch.zeros(len(clips), device=clips.device),
        difference.mean(dim=(1, 2)),
        blur(difference[:, None]).amax(dim=(1, 2, 3)),
        1 - brightness,
        frame_indices.float(),
    )
    return dict(zip(CONTROLS, scores, strict=True))
