"""How moving things look: the distance of their features to the nearest one in a memory of normal features.

A frozen backbone sees the picture, enlarged so that a person is a few of its features high. Only cells that move are
compared. The memory is filled once, after training (:mod:`~anomalib_stmem.shell.learn_looks`), and can grow.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from .backbone import STRIDE
from .perspective import STILL
from .precision import Precision, convolving
from .scoring import motion_map
from .timm_backbone import OWN_BACKBONE, make_backbone

AROUND = 5  # cells, each way, that a surprise is averaged over: about a person
PRIOR = 7.5  # cells without surprise that are averaged in, so that one cell alone is no figure
FAR = 200.0  # each coordinate of an item that is not there; nothing is near it
CELLS = (4, 8, 16)  # pixels, each way, that may become one feature; enlarging a picture further shows nothing new


class Looks(NamedTuple):
    """What :class:`Appearance` says of each frame."""

    surprise: Tensor  # (n, h', w'): average distance around each cell
    nearest: Tensor  # (n,): the item nearest to the cell with the most surprise


class Appearance(nn.Module):
    """A backbone and a memory of normal features.

    Shapes: ``h' = h / cell`` and ``w' = w / cell`` cells of a frame, ``m`` items, ``c`` channels of a
    feature (112 of ``lite0``).

    Args:
        num_items: ``m``, the most features that are kept.
        image_size: height and width of the frames.
        cell: pixels of the frame, each way, that become one feature.
        backbone: ``lite0``, or the name of a network of timm.

    Raises:
        ValueError: there is no such backbone.
    """

    items: Tensor  # (m, c)
    still: Tensor  # scalar: squared difference up to which a cell stands still
    grid: Tensor  # (2,): cell and every, as a checkpoint keeps them

    def __init__(
        self, num_items: int, image_size: tuple[int, int], cell: int = 8, backbone: str = OWN_BACKBONE
    ) -> None:
        super().__init__()
        self.image_size, self.cell, self.every = image_size, cell, 1
        self.precision: Precision = "auto"
        self.backbone = make_backbone(backbone).to(memory_format=torch.channels_last)
        self.register_buffer("items", torch.full((num_items, self.backbone.channels), FAR))
        self.register_buffer("still", torch.tensor(STILL))
        self.register_buffer("grid", torch.tensor([cell, 1]))
        self.register_load_state_dict_post_hook(_take_over_grid)

    @property
    def num_items(self) -> int:
        """Number of features in the memory."""
        return int((self.items[:, 0] != FAR).sum())

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return self.image_size[0] // self.cell, self.image_size[1] // self.cell

    def set_grid(self, cell: int, every: int) -> None:
        """Choose how closely and how often it looks.

        Args:
            cell: one of :data:`CELLS`.
            every: frames from one look to the next.
        """
        self.cell, self.every = cell, every
        self.grid.copy_(torch.tensor([cell, every]))

    def features(self, frames: Tensor) -> Tensor:
        """See ``(n, channels, h, w)`` frames in [-1, 1]: ``(n, h', w', c)``."""
        rows, columns = self.size
        enlarged = F.interpolate(frames, (STRIDE * rows, STRIDE * columns), mode="bilinear", align_corners=False)
        colours = enlarged.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)  # a third faster
        with convolving(self.precision, frames.device):
            return self.backbone(colours).permute(0, 2, 3, 1).float()

    def moving(self, frames: Tensor, before: Tensor) -> Tensor:
        """Say which cells move between two frames each: ``(n, h', w')``, true where they do."""
        motion = motion_map((frames - before)[:, None])
        return F.avg_pool2d(motion, self.cell)[:, 0] > self.still

    def forward(
        self, frames: Tensor, before: Tensor, steadied: Tensor | None = None, counts: Tensor | None = None
    ) -> Looks:
        """Compare what moves in frames with the memory.

        Args:
            frames: ``(n, channels, h, w)`` in [-1, 1].
            before: the frames before them.
            steadied: the frames as they are compared with those before, if otherwise (:mod:`~.steady`).
            counts: ``(1, h', w')``, how much of each cell counts, in [0, 1]; by default all of it.
        """
        moving = self.moving(frames if steadied is None else steadied, before)
        moving = moving if counts is None else moving & (counts > 0.5)
        # A graph cannot choose; elsewhere only what moves is compared, and where nothing does, nothing is seen.
        chooses = not torch.compiler.is_compiling()
        if chooses and not bool(moving.any()):
            return Looks(torch.zeros_like(moving, dtype=frames.dtype), moving.new_zeros(len(frames), dtype=torch.long))
        features = self.features(frames)
        if chooses:
            distance = features.new_zeros(moving.shape)
            distance[moving] = self.distances(features[moving])[0]
        else:
            distance = self.distances(features)[0]
        surprise = self.around(distance, moving)
        surprise = surprise if counts is None else surprise * counts
        worst = surprise.flatten(1).argmax(dim=1)[:, None, None].expand(-1, 1, features.shape[-1])
        return Looks(surprise, self.distances(features.flatten(1, 2).gather(1, worst))[1][:, 0])

    def distances(self, features: Tensor, items: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Find the nearest item of each of ``(..., c)`` features: distance and number of the item, ``(...)`` each.

        Args:
            features: which.
            items: ``(k, c)``, to look among instead of in the memory.
        """
        items = self.items if items is None else items
        # |f - p|^2 = |f|^2 - 2 (f p - |p|^2 / 2), whose last part is all that decides which item is nearest.
        closeness = features @ items.T - items.square().sum(dim=1) / 2
        best, nearest = closeness.max(dim=-1)
        return (features.square().sum(dim=-1) - 2 * best).clamp_min(0).sqrt(), nearest

    @staticmethod
    def around(distance: Tensor, moving: Tensor) -> Tensor:
        """Average ``(n, h', w')`` distances over the cells around each that move, :data:`PRIOR` zeros among them."""
        moves = moving.to(distance.dtype)
        total, count = (AROUND**2 * _box(values) for values in (distance * moves, moves))
        return total / (count + PRIOR)

    def keep(self, features: Tensor) -> None:
        """Fill the memory with ``(k, c)`` features, ``k <= m``."""
        self.items.fill_(FAR)
        self.items[: len(features)] = features.half().float()  # as a checkpoint keeps them

    def picture(self, frame: Tensor, row: int, column: int) -> NDArray[np.uint8]:
        """Cut out of ``(channels, h, w)`` in [-1, 1] what lies around a cell, as far as a surprise is averaged."""
        side = AROUND * self.cell
        pixels = ((frame + 1) * 127.5).round().byte().cpu().numpy()
        padded = np.pad(pixels, ((0, 0), (side, side), (side, side)), mode="edge")
        top, left = (side + place * self.cell + self.cell // 2 - side // 2 for place in (row, column))
        return padded[
            :, top : top + side, left : left + side
        ].copy()  # and not a view, which would keep the whole frame

    def remember(self, frames: Tensor, before: Tensor) -> Tensor:
        """Let the memory grow by what moves in normal frames and is farther from it than its items are from each other.

        Args:
            frames: ``(n, channels, h, w)`` in [-1, 1].
            before: the frames before them.

        Returns:
            Number of the frame, row and column of the cell of each feature that was added, ``(k, 3)``.
        """
        places = self.moving(frames, before).nonzero()
        features = self.features(frames)[places.unbind(dim=1)].half().float()
        known = self.items[: self.num_items]
        apart = torch.cdist(known, known).fill_diagonal_(torch.inf).amin(dim=1)
        distance = self.distances(features)[0]
        added: list[int] = []
        while len(distance) and float(distance.max()) > float(apart.median()):
            added.append(int(distance.argmax()))
            distance = torch.minimum(distance, (features - features[added[-1]]).norm(dim=1))
        self.items = torch.cat([known, features[added], self.items[self.num_items + len(added) :]])
        return places[added]

    def forget(self, items: Collection[int]) -> None:
        """Take items out of the memory."""
        self.items = self.items[[item for item in range(len(self.items)) if item not in items]]

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: Any) -> None:  # noqa: ANN401
        """Take over a memory of any size: it may have grown."""
        items = state.get(f"{prefix}items")
        if items is not None:
            self.items = self.items.new_empty(items.shape)
        super()._load_from_state_dict(state, prefix, *rest)


def _box(maps: Tensor) -> Tensor:
    return F.avg_pool2d(maps[:, None], AROUND, stride=1, padding=AROUND // 2)[:, 0]


def _take_over_grid(appearance: nn.Module, *_: Any) -> None:  # noqa: ANN401
    """Follow a checkpoint in how closely and how often to look."""
    assert isinstance(appearance, Appearance)  # noqa: S101
    appearance.cell, appearance.every = appearance.grid.tolist()
