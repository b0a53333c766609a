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
        size_hw: height and width of a crop in pixels.

    Returns:
        ``(b, n, c, *size_hw)``.

    Raises:
        ValueError: a crop is larger than the frames.
    """
    height, width = size_hw
    spare_rows, spare_columns = clips.shape[-2] - height, clips.shape[-1] - width
    if spare_rows < 0 or spare_columns < 0:
        msg = (
            f"train_crop {height}x{width} is larger than the frames, {clips.shape[-2]}x{clips.shape[-1]}. Change "
            "--model.train_crop or --model.image_size."
        )
        raise ValueError(msg)
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
