"""The memory of normal patterns: read by every feature, rewritten by training (Sec. II-B, Eqs. 5-8)."""

from typing import NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class Recall(NamedTuple):
    """What a memory answered to a batch of maps; ``n`` maps, ``k`` = h*w features each, ``m`` items."""

    features: Tensor  # (n, k, c): what asked, float32, not of unit length
    read: Tensor  # (n, c, h, w): the features rewritten as mixtures of items, Eq. (6)
    logits: Tensor  # (n, k, m): cosine of each feature to each item over the temperature, float32
    items: Tensor  # (m, c): the unit items that were read
    temperature: float

    @property
    def similarity(self) -> Tensor:
        """Cosine of each feature to each item, ``(n, k, m)``; :meth:`nearest` is cheaper where a few are needed."""
        return self.logits * self.temperature

    def nearest(self, count: int) -> tuple[Tensor, Tensor]:
        """Return the cosines to the ``count`` nearest items, falling, and which these are: ``(n, k, count)`` each."""
        if count == 1:  # topk is slow where a maximum will do
            logits, order = self.logits.max(dim=2, keepdim=True)
        else:
            logits, order = self.logits.topk(count, dim=2)
        return logits * self.temperature, order


class PrototypeMemory(nn.Module):
    """``M`` unit vectors that stand for what is normal at one scale of one stream.

    Reading: ``w = softmax_m(p_m . q / temperature)`` (Eq. 5) and ``q_hat = sum_m w_m p_m`` (Eq. 6).
    Updating: each item moves towards the features whose nearest item it is, ``U_m``, weighted by
    ``v'_k = exp(p_m . q_k - max over U_m)`` (Eqs. 7-8; normalised by the maximum as Park et al. 2020 write it,
    so that the softmax over all features cancels and is never formed).

    Reading changes nothing, so that it can be compiled and exported; :meth:`update` follows in training steps. Under
    ``torch.distributed`` it uses the features of all replicas, so items stay identical everywhere.

    Args:
        channels: ``c`` of the feature map that this memory sits on.
        num_items: ``M``; 20 in the paper. At least 3, because Eq. (10) asks for the third-nearest item.
        temperature: divides the cosines in Eq. (5). 1 is the paper; with it no weight can exceed 0.28 at M = 20.
        momentum: share of the old item that an update keeps, in [0, 1). ``None`` is the literal Eq. (8), which adds
            the weighted sum of all queries to the item and so overwrites it.
        restart_after: an item that was nearest to no feature for so many updates is placed on the feature that the
            memory explains worst; 0 never restarts (the paper).
        learn_items: whether the loss also moves the items, through the optimiser. ``False`` is Park et al. 2020.

    Raises:
        ValueError: an argument is outside its range.
    """

    idle: Tensor  # (m,), int64: updates since an item was last nearest to a feature

    def __init__(
        self,
        channels: int,
        num_items: int = 20,
        temperature: float = 1.0,
        momentum: float | None = None,
        restart_after: int = 0,
        learn_items: bool = False,
    ) -> None:
        super().__init__()
        if num_items < 3:
            msg = f"memory_items must be at least 3, because Eq. (10) uses the third-nearest item; got {num_items}."
            raise ValueError(msg)
        if temperature <= 0:
            msg = f"memory_temperature must be above 0; got {temperature}."
            raise ValueError(msg)
        if momentum is not None and not 0 <= momentum < 1:
            msg = f"memory_momentum must be in [0, 1) or null (the literal Eq. 8); got {momentum}."
            raise ValueError(msg)
        self.temperature = temperature
        self.momentum = momentum
        self.restart_after = restart_after
        # A parameter even without gradient, so that a checkpoint fits whichever way the items were moved.
        self.items = nn.Parameter(F.normalize(torch.randn(num_items, channels), dim=1), requires_grad=learn_items)
        self.register_buffer("idle", torch.zeros(num_items, dtype=torch.int64))

    def forward(self, features: Tensor) -> Recall:
        """Read the memory with ``(n, c, h, w)`` features."""
        # float32 whatever the autocast: distances 2 - 2s cancel near s = 1, where bfloat16 has two digits.
        with torch.autocast(features.device.type, enabled=False):
            rows = features.float().permute(0, 2, 3, 1).flatten(1, 2)  # (n, k, c), a view where channels come last
            items = F.normalize(self.items.clone(), dim=1)  # a copy: the update comes before the backward pass
            # The norm is not applied to all c channels, nor the temperature to all products: on a CPU each pass over
            # them takes as long as a convolution.
            logits = (rows @ (items / self.temperature).T) * inverse_norm(rows)
            read = (logits.softmax(dim=2) @ items).unflatten(1, features.shape[-2:]).permute(0, 3, 1, 2)
        return Recall(rows, read.to(features.dtype), logits, items, self.temperature)

    @torch.no_grad()
    def update(self, recall: Recall) -> None:
        """Move the items once, by Eq. (8), towards the features of a :class:`Recall` of the items as they are."""
        rows = recall.features.detach().flatten(0, 1)  # (k, c) of all maps
        best, nearest = (found.detach().flatten() for found in recall.nearest(1))  # (k,)
        # A maximum, a weighted sum and a sum of weights per item are all that crosses the replicas.
        peak = best.new_full((len(self.items),), -torch.inf)
        peak.scatter_reduce_(0, nearest, best, "amax")
        across_replicas(peak, dist.ReduceOp.MAX)
        chosen = (best - peak[nearest]).exp()[:, None]  # v', in (0, 1]; the best query of each item has 1
        weights = rows.new_zeros(len(rows), len(self.items)).scatter_(1, nearest[:, None], chosen)
        pull = torch.cat([weights.T @ (rows * inverse_norm(rows)), weights.sum(dim=0)[:, None]], dim=1)
        across_replicas(pull, dist.ReduceOp.SUM)
        total, weight = pull[:, :-1], pull[:, -1:]
        used = weight > 0
        if self.momentum is None:
            moved = self.items + total
        else:
            moved = self.momentum * self.items + (1 - self.momentum) * total / weight.clamp_min(1e-12)
        self.items.copy_(torch.where(used, F.normalize(moved, dim=1), self.items))
        self.idle.copy_(torch.where(used[:, 0], 0, self.idle + 1))
        if self.restart_after:
            self._restart_longest_idle(rows, best)

    def _restart_longest_idle(self, rows: Tensor, best: Tensor) -> None:
        """Place the longest-idle item, if it waited long enough, on the worst-explained query of all replicas."""
        worst = best.argmin()
        candidate = gather_rows(torch.cat([best[worst, None], F.normalize(rows[worst], dim=0)]))  # (replicas, 1 + c)
        query = candidate[candidate[:, 0].argmin(), 1:]
        longest, item = self.idle.max(dim=0)
        due = longest >= self.restart_after
        self.items[item] = torch.where(due, query, self.items[item])
        self.idle[item] = torch.where(due, 0, self.idle[item])


def inverse_norm(rows: Tensor) -> Tensor:
    """``1 / |q|`` of each ``(..., c)`` row, ``(..., 1)``; a row of zeros stays one."""
    return rows.norm(dim=-1, keepdim=True).clamp_min(1e-12).reciprocal()


def across_replicas(statistic: Tensor, op: dist.ReduceOp.RedOpType) -> None:
    """Reduce in place over all processes; in a single process nothing happens."""
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(statistic, op=op)


def gather_rows(row: Tensor) -> Tensor:
    """Stack one ``(c,)`` row of every process to ``(replicas, c)``."""
    if not (dist.is_available() and dist.is_initialized()):
        return row[None]
    rows = [torch.empty_like(row) for _ in range(dist.get_world_size())]
    dist.all_gather(rows, row)
    return torch.stack(rows)


class MemoryHealth(NamedTuple):
    """How much of a memory is alive; three scalars."""

    items_used: Tensor  # share of items that are nearest to at least one feature, in (0, 1]
    item_similarity: Tensor  # mean cosine between different items, in [-1, 1]; near 1 means a collapsed memory
    read_entropy: Tensor  # mean entropy of the read over log M, in [0, 1]; 1 means the read is the mean of all items


@torch.no_grad()
def memory_health(recall: Recall) -> MemoryHealth:
    """Summarise a :class:`Recall` for the log."""
    num_items = len(recall.items)
    used = recall.nearest(1)[1].flatten().bincount(minlength=num_items).gt(0).float().mean()
    pairs = recall.items @ recall.items.T
    similarity = (pairs.sum() - pairs.trace()) / (num_items * (num_items - 1))
    weights = recall.logits.softmax(dim=2)
    entropy = torch.special.entr(weights).sum(dim=2).mean() / torch.tensor(num_items).log()
    return MemoryHealth(used, similarity, entropy)
