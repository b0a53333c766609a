"""Where to look while training: crops of clips in which something moves."""

import torch
from torch import Tensor

TRIES = 3  # crops drawn, of which the one with the most motion is kept; more would show crowds only


def moving_crops(clips: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Crop each clip at a random place, the same in all its frames.

    A fixed camera sees mostly background, from which nothing is learned: on Ped2 8 % of the pixels hold 97 % of the
    squared differences. The network is convolutional, so it trains on crops and judges whole frames.

    Args:
        clips: ``(b, n, c, h, w)``.
        size_hw: height and width of a crop in pixels; those of the frames, where these are smaller.

    Returns:
        ``(b, n, c, *size_hw)``.
    """
    height, width = (min(side, whole) for side, whole in zip(size_hw, clips.shape[-2:], strict=True))
    spare_rows, spare_columns = clips.shape[-2] - height, clips.shape[-1] - width
    chosen = []
    for clip in clips:
        moved = (clip[-1] - clip[0]).abs().mean(dim=0)
        rows = torch.randint(spare_rows + 1, (TRIES,)).tolist()
        columns = torch.randint(spare_columns + 1, (TRIES,)).tolist()
        places = list(zip(rows, columns, strict=True))
        motion = [float(moved[row : row + height, column : column + width].mean()) for row, column in places]
        row, column = places[motion.index(max(motion))]
        chosen.append(clip[..., row : row + height, column : column + width])
    return torch.stack(chosen)
