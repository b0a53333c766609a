"""Rows about judged frames, joined over batches and devices."""

from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ..video.names import natural_order


def gather(batches: list[pd.DataFrame]) -> pd.DataFrame:
    """Join the rows of all batches and devices, sorted; a frame that a distributed sampler repeated counts once."""
    rows = pd.concat(batches, ignore_index=True)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        parts: list[Any] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(parts, rows)
        rows = pd.concat(parts, ignore_index=True)
    rows = rows.drop_duplicates(["video", "frame"])
    videos = sorted(rows.video.unique(), key=lambda video: natural_order(Path(video)))
    order = {video: place for place, video in enumerate(videos)}
    return (
        rows.assign(place=rows.video.map(order))
        .sort_values(["place", "frame"], ignore_index=True)
        .drop(columns="place")
    )
