"""Fill the memory of normal looks from training video, and learn how far normal video usually is from it."""

from typing import NamedTuple

import numpy as np
import scipy.ndimage
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..model.appearance import CELLS, Appearance
from ..model.backbone import STRIDE
from ..model.coreset import farthest_first
from ..model.perspective import cells, still_below
from ..model.scoring import motion_map
from ..model.torch_model import STMemModel
from ..video.frame_rate import ASSUMED_RATE
from .learn_scene import Prepare, prepared

FRAMES = 600  # that the memory is filled from, spread over all training video
COMPARED = 100  # frames that say how far normal video is from a memory of other normal video
MOVING, STILL = 60, 2  # features that a frame may give; still ones, because noise may grow
CANDIDATES = 30_000  # features that the memory is chosen from
STRETCHES = 8  # of training video; each is compared with the memory of the others
LOOKS_PER_SECOND = 5
FIGURE = 5  # features that a figure should be high
MEASURED_DOWN = 60  # rows of the grid on which figures are measured
MOST_PIXELS = 700_000  # of an enlarged frame


class Source(NamedTuple):
    """Where a feature comes from."""

    frame: int  # of those that the memory is filled from
    row: int  # of the cell
    column: int


@torch.no_grad()
def learn_looks(
    network: STMemModel, clips: Dataset, prepare: Prepare, cell: int | None = None, every: int | None = None
) -> list[NDArray[np.uint8]]:
    """Fill the memory of ``network.appearance``, and set how closely and how often it looks.

    Args:
        network: in evaluation mode, with an appearance whose backbone has its weights.
        clips: the dataset that it was trained on.
        prepare: from frames in [0, 1] to what the network reads.
        cell: pixels of the frame that become one feature; by default so that a figure is about :data:`FIGURE` high.
        every: frames from one look to the next; by default five looks per second, at least one per window.

    Returns:
        A picture ``(channels, side, side)`` of what each item of the memory was seen in.
    """
    appearance = network.appearance
    assert appearance is not None  # noqa: S101  # the caller looked
    pairs, rates = [], []
    for batch, images in prepared(network, clips, prepare, FRAMES):
        pairs.append(((images[0, -2:] + 1) * 127.5).round().byte().cpu())  # a quarter of the room
        rates.append(float("nan") if batch.frame_rate is None else float(batch.frame_rate[-1]))
    rate = float(np.nanmedian(rates)) if np.isfinite(rates).any() else ASSUMED_RATE
    motion = torch.stack([motion_map((now - before)[None, None])[0, 0] for before, now in map(_as_frames, pairs)])
    appearance.set_grid(
        cell or cell_for(figure_height(motion), appearance.image_size),
        every or min(network.window, max(1, round(rate / LOOKS_PER_SECOND))),
    )
    appearance.still.fill_(float(np.median([still_below(one[None]) for one in motion])))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sources = _fill(appearance, pairs)
    peak = _compare(appearance, pairs, sources)
    if network.head.fusion is not None:
        network.head.fusion.peak[network.head.sources.index("looks")] = peak
    return [appearance.picture(_as_frames(pairs[one.frame][1]), one.row, one.column) for one in sources]


def cell_for(height: float, image_size: tuple[int, int]) -> int:
    """Choose the cell with which a figure of so many pixels comes nearest to :data:`FIGURE` features.

    Frames are never enlarged to more than :data:`MOST_PIXELS`.
    """
    affordable = [cell for cell in CELLS if image_size[0] * image_size[1] * (STRIDE / cell) ** 2 <= MOST_PIXELS]
    return min(affordable or CELLS[-1:], key=lambda cell: abs(np.log(max(height, 1) / (cell * FIGURE))))


def figure_height(motion: Tensor) -> float:
    """Measure how high what moves is, in pixels: the median, over moving pixels, of the upright run through each.

    Args:
        motion: ``(n, h, w)``, squared differences to the frames before.
    """
    runs = []
    for frame in motion:
        small = cells(frame[None], MEASURED_DOWN)[0]
        moves = scipy.ndimage.binary_closing((small > still_below(frame[None])).numpy(), np.ones((3, 3)))
        above, below = np.zeros(moves.shape, int), np.zeros(moves.shape, int)
        for row in range(len(moves)):
            above[row] = np.where(moves[row], 1 + (above[row - 1] if row else 0), 0)
        for row in reversed(range(len(moves))):
            below[row] = np.where(moves[row], 1 + (below[row + 1] if row + 1 < len(moves) else 0), 0)
        runs.append((above + below - 1)[moves])
    whole = np.concatenate(runs)
    return float(np.median(whole)) * motion.shape[-2] / MEASURED_DOWN if len(whole) else motion.shape[-2] / FIGURE


def _fill(appearance: Appearance, pairs: list[Tensor]) -> list[Source]:
    """Choose the items, and say where each was seen."""
    device = appearance.items.device
    # In one piece: small pieces kept between the large maps of a backbone would leave the memory in shreds.
    features, seen = torch.empty(len(pairs) * (MOVING + STILL), appearance.backbone.channels), list[Source]()
    for number, pair in enumerate(pairs):
        before, frame = _as_frames(pair.to(device))
        looked, moving = appearance.features(frame[None])[0], appearance.moving(frame[None], before[None])[0]
        for which, most in ((moving, MOVING), (~moving, STILL)):
            rows, columns = which.nonzero(as_tuple=True)
            chosen = torch.randperm(len(rows))[:most].to(device)
            rows, columns = rows[chosen], columns[chosen]
            features[len(seen) : len(seen) + len(rows)] = looked[rows, columns].cpu()
            seen += [Source(number, *place) for place in zip(rows.tolist(), columns.tolist(), strict=True)]
    few = torch.randperm(len(seen))[:CANDIDATES]
    kept = few[farthest_first(features[few], len(appearance.items))].tolist()
    appearance.keep(features[kept].to(device))
    return [seen[index] for index in kept]


def _compare(appearance: Appearance, pairs: list[Tensor], sources: list[Source]) -> float:
    """Return the highest surprise of a usual frame.

    What the memory was filled from is near to it; so each stretch of video is compared with the items of the others.
    """
    device = appearance.items.device
    stretches = torch.tensor([source.frame * STRETCHES // len(pairs) for source in sources], device=device)
    highest = []
    for number in range(0, len(pairs), max(1, len(pairs) // COMPARED)):
        before, frame = (one[None] for one in _as_frames(pairs[number].to(device)))
        others = appearance.items[: len(sources)][stretches != number * STRETCHES // len(pairs)]
        distance, _ = appearance.distances(appearance.features(frame), others if len(others) else None)
        highest.append(float(appearance.around(distance, appearance.moving(frame, before)).max()))
    return max(1e-3, sum(highest) / len(highest))


def _as_frames(pair: Tensor) -> Tensor:
    """Turn bytes back into frames in [-1, 1]."""
    return pair / 127.5 - 1
