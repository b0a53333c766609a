"""How fast each place of a picture moves, without learning: optical flow of Lucas and Kanade (1981), in closed form.

One step of it, so that it is made of averages and products and runs in every runtime; large motions come out too small,
but still as large.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .around import average_around

SHRINK = 2  # pixels that are averaged first, each way: small motions count, noise does not
WINDOW = 7  # averaged pixels, each way, that are taken to move together
FAINT = 4e-5  # squared gradient below which a motion is not trusted, and comes out smaller


def speed_map(frames: Tensor, before: Tensor) -> Tensor:
    """Measure the speed between two frames.

    Args:
        frames: ``(n, c, h, w)`` in [-1, 1]; even sides.
        before: the frames before them.

    Returns:
        ``(n, h / 2, w / 2)``, in pixels of the frame per frame.
    """
    now, then = (F.avg_pool2d((part.mean(dim=1, keepdim=True) + 1) / 2, SHRINK) for part in (frames, before))
    middle = F.pad((now + then) / 2, (1, 1, 1, 1), mode="replicate")
    along = (middle[..., 1:-1, 2:] - middle[..., 1:-1, :-2]) / 2
    down = (middle[..., 2:, 1:-1] - middle[..., :-2, 1:-1]) / 2
    change = now - then
    products = (along * along, down * down, along * down, along * change, down * change)
    xx, yy, xy, xt, yt = average_around(torch.cat(products, dim=1), WINDOW).split(1, dim=1)
    xx, yy = xx + FAINT, yy + FAINT
    determinant = xx * yy - xy * xy
    right, below = (xy * yt - yy * xt) / determinant, (xy * xt - xx * yt) / determinant
    return SHRINK * (right.square() + below.square()).sqrt()[:, 0]
