"""The paper's equations as slow loops over single numbers and vectors: the oracle. Imports nothing of ours."""

import math

import torch
from torch import Tensor


def shifted(features: Tensor, moved: int) -> Tensor:
    """Fig. 2: channel by channel, frame by frame."""
    result = features.clone()
    for clip in range(features.shape[0]):
        for frame in range(features.shape[1]):
            for channel in range(moved):
                previous = features[clip, frame - 1, channel] if frame else torch.zeros_like(features[clip, 0, channel])
                result[clip, frame, channel] = previous
    return result


def unit(vector: Tensor) -> Tensor:
    return vector / math.sqrt(sum(float(x) ** 2 for x in vector))


def queries_of(features: Tensor) -> list[Tensor]:
    """Unit feature vectors of ``(n, c, h, w)``, map by map, row by row."""
    n, _, h, w = features.shape
    return [unit(features[i, :, y, x]) for i in range(n) for y in range(h) for x in range(w)]


def read_weights(query: Tensor, items: Tensor, temperature: float = 1.0) -> list[float]:
    """Eq. (5)."""
    exponentials = [math.exp(float(item @ query) / temperature) for item in items]
    return [value / sum(exponentials) for value in exponentials]


def read(query: Tensor, items: Tensor, temperature: float = 1.0) -> Tensor:
    """Eq. (6), for one feature."""
    result = torch.zeros_like(query)
    for weight, item in zip(read_weights(query, items, temperature), items, strict=True):
        result = result + weight * item
    return result


def updated_items(items: Tensor, features: Tensor, momentum: float | None = None) -> Tensor:
    """Eqs. (7)-(8): the softmax over all queries is formed, then divided by its largest value within U_m."""
    queries = queries_of(features)
    nearest = [max(range(len(items)), key=lambda m, q=query: float(items[m] @ q)) for query in queries]
    result = items.clone()
    for m, item in enumerate(items):
        total = sum(math.exp(float(item @ query)) for query in queries)
        v = [math.exp(float(item @ query)) / total for query in queries]
        own = [k for k in range(len(queries)) if nearest[k] == m]
        if not own:
            continue
        largest = max(v[k] for k in own)
        weights = [v[k] / largest for k in own]
        pull = sum(weight * queries[k] for weight, k in zip(weights, own, strict=True))
        if momentum is None:
            result[m] = unit(item + pull)
        else:
            result[m] = unit(momentum * item + (1 - momentum) * pull / sum(weights))
    return result


def squared_distance(u: Tensor, v: Tensor) -> float:
    return sum((float(x) - float(y)) ** 2 for x, y in zip(u, v, strict=True))


def separation_terms(query: Tensor, items: Tensor, a: float, b: float) -> float:
    """Eq. (10), for one feature, with hinges and squared distances."""
    p, n1, n2 = sorted(items, key=lambda item: squared_distance(query, item))[:3]
    first = squared_distance(query, p) - squared_distance(query, n1) + a
    second = squared_distance(query, p) - squared_distance(n2, n1) + b
    return max(0.0, first) + max(0.0, second)


def psnr(final: Tensor, actual: Tensor) -> float:
    """Eq. (14), frames in [-1, 1] mapped to [0, 1], peak 1."""
    errors = [
        ((float(x) + 1) / 2 - (float(y) + 1) / 2) ** 2 for x, y in zip(final.ravel(), actual.ravel(), strict=True)
    ]
    return 10 * math.log10(1 / (sum(errors) / len(errors)))


def distance(features: Tensor, items: Tensor) -> float:
    """Eq. (15), for one map ``(c, h, w)``."""
    queries = queries_of(features[None])
    return sum(min(math.sqrt(squared_distance(query, item)) for item in items) for query in queries) / len(queries)


def g(values: list[float]) -> list[float]:
    """Min-max normalisation over a video."""
    return [(value - min(values)) / (max(values) - min(values)) for value in values]


def score(p: list[float], d_spatial: list[float], d_temporal: list[float], weight: float) -> list[float]:
    """Eq. (16), for every frame of a video."""
    return [
        weight * (1 - gp) + (1 - weight) / 2 * gi + (1 - weight) / 2 * gx
        for gp, gi, gx in zip(g(p), g(d_spatial), g(d_temporal), strict=True)
    ]
