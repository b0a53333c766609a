"""What training video teaches beside the weights, once these are learned: how things are usually seen.

How large errors and speeds are at each height of the picture, how what moves looks, and how high each map usually goes.
Every device goes through the same clips, so all of them learn the same.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from ..model.perspective import MovingRows
from ..model.scoring import MEASUREMENTS, error_maps, motion_map
from ..model.speed import speed_map
from ..model.torch_model import STMemModel, frame_differences
from .batch import JudgedBatch, as_judged_batch

CLIPS = 200  # that perspective is learned from, spread over all training video
PEAK_CLIPS = 50  # whose frames say how high the maps of motion and speed usually go

Prepare = Callable[[Tensor], Tensor]  # from frames in [0, 1] to what the network reads


@torch.no_grad()
def learn_perspective(network: STMemModel, clips: Dataset, prepare: Prepare) -> None:
    """Learn how large errors, motion and speed usually are at each height, if the score wants to know.

    Args:
        network: in evaluation mode; its head learns, its weights stay.
        clips: the dataset that it was trained on.
        prepare: see :data:`Prepare`.
    """
    if network.head.perspective is None:
        return
    seen, window = MovingRows(), network.window
    for _, images in prepared(network, clips, prepare, CLIPS):
        frames, before = images[0, window:], images[0, window - 1 : -1]
        motion = motion_map(frame_differences(images)[:, window - 1 :])
        maps = error_maps(network.expect(images).errors) | {"motion": motion}
        seen.add(
            {name: values.flatten(0, 1) for name, values in maps.items()} | {"speed": speed_map(frames, before)},
            motion[0],
        )
    network.head.perspective.learn(seen)


@torch.no_grad()
def learn_peaks(network: STMemModel, clips: Dataset, prepare: Prepare) -> None:
    """Learn how high the maps of motion and speed go in a usual frame, so that the maps of all sources can be added.

    Arguments as :func:`learn_perspective`; that comes first.
    """
    head = network.head
    if head.fusion is None:
        return
    measured = [network.judge(images).measurements[0] for _, images in prepared(network, clips, prepare, PEAK_CLIPS)]
    worst = torch.cat(measured)
    for place, source in enumerate(head.sources):
        if source == "motion":
            decibels = worst[:, MEASUREMENTS.index(f"psnr_patch_{head.error}")]
            head.fusion.peak[place] = (10 ** (-decibels / 10)).mean()
        elif source == "speed":
            head.fusion.peak[place] = worst[:, MEASUREMENTS.index(source)].mean().clamp_min(1e-3)


def prepared(network: STMemModel, clips: Dataset, prepare: Prepare, count: int) -> Iterator[tuple[JudgedBatch, Tensor]]:
    """Load at most ``count`` clips one by one, spread evenly over a dataset, with what the network reads of each."""
    total, device = len(cast("Any", clips)), next(network.parameters()).device
    indices = [place * total // min(count, total) for place in range(min(count, total))]
    loader = DataLoader(Subset(clips, indices), batch_size=1, collate_fn=getattr(clips, "collate_fn", None))
    for batch in loader:
        judged = as_judged_batch(batch, network.window)
        yield judged, prepare(judged.image.to(device))
