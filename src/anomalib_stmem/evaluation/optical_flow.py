"""Dense optical flow by cv2's DIS: a control that learns nothing. Kroeger et al., ECCV 2016."""

import cv2
import numpy as np
import torch
from torch import Tensor


def optical_flow(frames: Tensor, before: Tensor) -> Tensor:
    """Return the speed of each pixel of ``(n, c, h, w)`` frames in [-1, 1]: ``(n, h, w)``, in pixels per frame."""
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    grey = [((part.mean(dim=1) + 1) * 127.5).round().byte().cpu().numpy() for part in (before, frames)]
    flows = [method.calc(then, now, np.zeros((*now.shape, 2), np.float32)) for then, now in zip(*grey, strict=True)]
    return torch.from_numpy(np.linalg.norm(np.stack(flows), axis=-1)).to(frames.device)
