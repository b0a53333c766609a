"""What training video teaches beside the weights, once these are learned: how things are usually seen.

How large errors and speeds are at each height of the picture, how what moves looks, and how high each map usually goes.
Every device goes through the same clips, so all of them learn the same.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from ..evaluation.optical_flow import optical_flow
from ..model.normal_view import NormalView
from ..model.perspective import MovingRows
from ..model.scoring import blur, error_maps, motion_map
from ..model.speed import speed_map
from ..model.steady import view_of
from ..model.torch_model import STMemModel, frame_differences
from .batch import JudgedBatch, as_judged_batch

CLIPS = 200  # that perspective is learned from, spread over all training video
PICTURES = 300  # that limits of normal pictures are learned from
VIEWS = 100  # frames whose median is the usual view
PEAK_CLIPS = 50  # whose frames say how high the maps of motion and speed usually go

Prepare = Callable[[Tensor], Tensor]  # from frames in [0, 1] to what the network reads


def learn_normal_view(network: STMemModel, clips: Dataset) -> NormalView:
    """Learn how pictures of the training video are.

    Arguments as :func:`learn_perspective`; the pictures are those that come in, before :data:`Prepare`.
    """
    seen = prepared(network, clips, lambda images: images, PICTURES)
    return NormalView.learn(images[0, -1].cpu().numpy() for _, images in seen)


@torch.no_grad()
def learn_view(network: STMemModel, clips: Dataset, prepare: Prepare) -> None:
    """Learn the usual view of the camera, of which people who pass are no part, if the network wants to know.

    Arguments as :func:`learn_perspective`; this comes first.
    """
    if network.steadies:
        views = [view_of(images[0, -1:]) for _, images in prepared(network, clips, prepare, VIEWS)]
        network.view.copy_(torch.cat(views).median(dim=0, keepdim=True).values)


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
    for images in prepared_windows(network, clips, prepare, CLIPS):
        frames, before = images[0, window:], images[0, window - 1 : -1]
        motion = motion_map(frame_differences(images)[:, window - 1 :])
        maps = error_maps(network.expect(images).errors) | {"motion": motion}
        seen.add(
            {name: values.flatten(0, 1) for name, values in maps.items()}
            | {"speed": speed_map(frames, before), "flow": optical_flow(frames, before)},
            network.exemptions.counted(motion[0]),
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
    window, scored, highest = network.window, network.scored_error, []
    for images in prepared_windows(network, clips, prepare, PEAK_CLIPS):
        error = error_maps(network.expect(images).errors)[scored]
        speed = speed_map(images[0, window:], images[0, window - 1 : -1])[None]
        maps = {"motion": head.in_perspective(scored, error), "speed": head.in_perspective("speed", speed)}
        highest.append({name: float(blur(values).amax(dim=(-2, -1)).mean()) for name, values in maps.items()})
    for place, source in enumerate(head.sources):
        if source in {"motion", "speed"}:
            head.fusion.peak[place] = max(1e-9, sum(one[source] for one in highest) / len(highest))


def prepared_windows(network: STMemModel, clips: Dataset, prepare: Prepare, count: int) -> Iterator[Tensor]:
    """Load the frames that the last one of each clip is judged by, without the shaking of the camera."""
    for _, images in prepared(network, clips, prepare, count):
        yield network.in_place(images[:, -network.window - 1 :])


def prepared(network: STMemModel, clips: Dataset, prepare: Prepare, count: int) -> Iterator[tuple[JudgedBatch, Tensor]]:
    """Load at most ``count`` clips one by one, spread evenly over a dataset, with what the network reads of each."""
    total, device = len(cast("Any", clips)), next(network.parameters()).device
    indices = [place * total // min(count, total) for place in range(min(count, total))]
    loader = DataLoader(Subset(clips, indices), batch_size=1, collate_fn=getattr(clips, "collate_fn", None))
    for batch in loader:
        judged = as_judged_batch(batch, network.window)
        yield judged, prepare(judged.image.to(device))
