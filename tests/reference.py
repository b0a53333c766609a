"""The paper's equations as slow loops over single numbers and vectors: the oracle. Imports nothing of ours."""

import itertools
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


def patches_psnr(error: Tensor, side: int) -> float:
    """P of the root mean square, over the pixels of ``(h, w)``, of the mean squared error of the patch around each."""
    height, width = error.shape
    patches = []
    for row in range(height):
        for column in range(width):
            around = [
                (float(error[i, j]) / 2) ** 2
                for i in range(max(0, row - side // 2), min(height, row + side // 2 + 1))
                for j in range(max(0, column - side // 2), min(width, column + side // 2 + 1))
            ]
            patches.append(sum(around) / side**2)  # beyond the border there is no error
    return 10 * math.log10(1 / math.sqrt(sum(patch**2 for patch in patches) / len(patches)))


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


# -- evaluation, one frame, pixel or region at a time


def auroc(scores: list[float], labels: list[bool]) -> float:
    """How often an abnormal frame scores above a normal one; a tie is half."""
    wins, pairs = 0.0, 0
    for score, label in zip(scores, labels, strict=True):
        for other, other_label in zip(scores, labels, strict=True):
            if label and not other_label:
                pairs += 1
                wins += 1.0 if score > other else 0.5 if score == other else 0.0
    return wins / pairs


def average_precision(scores: list[float], labels: list[bool]) -> float:
    """Sum over thresholds of the gain in recall times the precision there."""
    total, recall_before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        flagged = [label for score, label in zip(scores, labels, strict=True) if score >= threshold]
        recall = sum(flagged) / sum(labels)
        total += (recall - recall_before) * sum(flagged) / len(flagged)
        recall_before = recall
    return total


def equal_error_rate(scores: list[float], labels: list[bool]) -> float:
    """Walk down the thresholds until as many normal frames are flagged as abnormal ones are missed."""
    normal = [score for score, label in zip(scores, labels, strict=True) if not label]
    abnormal = [score for score, label in zip(scores, labels, strict=True) if label]
    before = (0.0, 1.0)
    for threshold in sorted(set(scores), reverse=True):
        flagged = sum(score >= threshold for score in normal) / len(normal)
        missed = sum(score < threshold for score in abnormal) / len(abnormal)
        if flagged >= missed:
            excess_before, excess = before[0] - before[1], flagged - missed
            return before[0] + (flagged - before[0]) * -excess_before / (excess - excess_before)
        before = (flagged, missed)
    raise AssertionError


def running_average(values: list[float], share: float) -> list[float]:
    """Each value with its predecessors, one step at a time."""
    result = [values[0]]
    for value in values[1:]:
        result.append((1 - share) * result[-1] + share * value)
    return result


def reflected_gaussian(values: list[float], sigma: float) -> list[float]:
    """A Gaussian over neighbours; beyond an end the values come back in reverse: ``b a | a b``."""
    count, reach = len(values), int(4 * sigma + 0.5)
    result = []
    for centre in range(count):
        total, weights = 0.0, 0.0
        for offset in range(-reach, reach + 1):
            place = (centre + offset) % (2 * count)
            weight = math.exp(-(offset**2) / (2 * sigma**2))
            total += weight * values[place if place < count else 2 * count - 1 - place]
            weights += weight
        result.append(total / weights)
    return result


def components(mask: list[list[bool]]) -> list[set[tuple[int, int]]]:
    """Connected parts of a mask, 8 neighbours, by flooding."""
    left = {(y, x) for y, row in enumerate(mask) for x, value in enumerate(row) if value}
    parts = []
    while left:
        part, front = set(), [left.pop()]
        while front:
            y, x = front.pop()
            part.add((y, x))
            for neighbour in [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]:
                if neighbour in left:
                    left.remove(neighbour)
                    front.append(neighbour)
        parts.append(part)
    return parts


def region_curve(
    maps: list, masks: list, levels: list[float], beta: float
) -> tuple[list[list[list[bool]]], list[float]]:
    """For every level: which true regions of each frame are found, and false positives per frame."""
    found, false = [], []
    for level in levels:
        found_here, false_here = [], 0
        for own_map, mask in zip(maps, masks, strict=True):
            true = components(mask)
            detected = components([[value > level for value in row] for row in own_map])

            def close(one: set, other: set) -> bool:
                return len(one & other) / len(one | other) >= beta

            found_here.append([any(close(t, d) for d in detected) for t in true])
            false_here += sum(not any(close(t, d) for t in true) for d in detected)
        found.append(found_here)
        false.append(false_here / len(maps))
    return found, false


def area_to_one_false_positive(points: list[tuple[float, float]]) -> float:
    """Area from 0 to 1 under the best rate at no more than so many false positives, in a thousand thin slices."""
    best: list[tuple[float, float]] = [(0.0, 0.0)]
    for false, rate in sorted(points):
        best.append((false, max(rate, best[-1][1])))
    total, slices = 0.0, 2000
    for number in range(slices):
        x = (number + 0.5) / slices
        left = [point for point in best if point[0] <= x][-1]
        right = next((point for point in best if point[0] > x), None)
        total += left[1] if right is None else left[1] + (right[1] - left[1]) * (x - left[0]) / (right[0] - left[0])
    return total / slices


def aupro(maps: list, masks: list, fpr_limit: float) -> float:
    """Per-region overlap against the false positive rate, at every value of the maps."""
    regions = [(index, part) for index, mask in enumerate(masks) for part in components(mask)]
    normal = [
        (i, y, x) for i, mask in enumerate(masks) for y, row in enumerate(mask) for x, v in enumerate(row) if not v
    ]
    curve = [(0.0, 0.0)]
    for level in sorted({value for own_map in maps for row in own_map for value in row}, reverse=True):
        fpr = sum(maps[i][y][x] >= level for i, y, x in normal) / len(normal)
        overlap = [sum(maps[i][y][x] >= level for y, x in part) / len(part) for i, part in regions]
        curve.append((fpr, sum(overlap) / len(overlap)))
    area = 0.0
    for (left, low), (right, high) in itertools.pairwise(curve):
        if left >= fpr_limit:
            break
        end = min(right, fpr_limit)
        at_end = low + (high - low) * (end - left) / (right - left) if right > left else high
        area += (end - left) * (low + at_end) / 2
    return area / fpr_limit
