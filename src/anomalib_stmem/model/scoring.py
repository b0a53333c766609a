"""From prediction errors to one score per frame (Sec. II-D, Eqs. 14-16), and more local variants of it.

A frame is measured (PSNR of each error, distance to each memory), and a :class:`ScoreHead` fuses the measurements.
"""

from collections.abc import Collection
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .around import average_around
from .fusion import Fusion
from .memory import Recall
from .perspective import Perspective
from .whole import MOST

ErrorName = Literal["sum", "spatial", "temporal", "both"]
AreaName = Literal["frame", "patches", "patch"]

ERRORS: tuple[ErrorName, ...] = ("sum", "spatial", "temporal", "both")
AREAS: tuple[AreaName, ...] = ("frame", "patches", "patch")
# The columns of a measurement, in order: P of each error over each area, D_i, D_x, the mean squared difference to the
# frame before, the greatest speed of a patch, the greatest surprise at how something looks, and the greatest share of
# the picture that changed at once in the window.
MEASUREMENTS: tuple[str, ...] = (
    *(f"psnr_{area}_{error}" for area in AREAS for error in ERRORS),
    *("distance_spatial", "distance_temporal", "motion", "speed", "looks", "changed"),
)

LOWEST_ERROR = 1e-10  # a repeated frame can be predicted exactly; its PSNR is then 100 dB and not infinite
PATCHES_ACROSS = 8  # a patch is an eighth of the frame's height; smaller ones differ little (docs/results.md)


def error_maps(errors: dict[ErrorName, Tensor]) -> dict[ErrorName, Tensor]:
    """Square ``(b, s, c, h, w)`` errors of frames in [-1, 1] to ``(b, s, h, w)`` maps on the [0, 1] scale of Eq. (14).

    ``both``, the mean of the two streams' maps, is added where there are two streams.
    """
    maps: dict[ErrorName, Tensor] = {name: (error / 2).square().mean(dim=2) for name, error in errors.items()}
    if "spatial" in maps and "temporal" in maps:
        maps["both"] = (maps["spatial"] + maps["temporal"]) / 2
    return maps


def blur(maps: Tensor) -> Tensor:
    """Average each ``(b, s, h, w)`` map over the patch around each pixel; beyond the border there is no error.

    So patches at the border count less: what enters there cannot be predicted, however normal it is.
    """
    return average_around(maps, max(1, maps.shape[-2] // PATCHES_ACROSS) // 2 * 2 + 1)


def psnr(mean_squared_error: Tensor) -> Tensor:
    """``P = 10 log10(1 / mse)`` in dB (Eq. 14, with the fixed peak 1 of frames in [0, 1])."""
    return -10 * mean_squared_error.clamp_min(LOWEST_ERROR).log10()


def memory_distance(recall: Recall) -> Tensor:
    """``D = mean_k |q_k - p_nearest|`` of each map (Eq. 15): ``(n,)`` in [0, 2]."""
    nearest, _ = recall.nearest(1)
    return (2 - 2 * nearest[..., 0]).clamp_min(0).sqrt().mean(dim=-1)


def motion_map(difference: Tensor) -> Tensor:
    """Square ``(b, s, c, h, w)`` differences to the frame before: ``(b, s, h, w)`` on the scale of Eq. (14)."""
    return (difference / 2).square().mean(dim=2)


def measure(
    maps: dict[ErrorName, Tensor],
    blurred: dict[ErrorName, Tensor],
    distances: dict[str, Tensor],
    others: dict[str, Tensor],
    wanted: Collection[str] = MEASUREMENTS,
) -> Tensor:
    """Measure every judged frame.

    Args:
        maps: from :func:`error_maps`; an error that a single-stream network lacks is measured as ``sum``.
        blurred: the same after :func:`blur`; only those over patches that are wanted.
        distances: ``spatial`` and ``temporal`` memory distances ``(b, s)``; a missing one is measured as 0.
        others: ``(b, s)`` each by name: ``motion``, the mean of :func:`motion_map`, and, where they are scored,
            ``speed``, ``looks`` and ``changed``.
        wanted: which of :data:`MEASUREMENTS`; the others are left at 0.

    Returns:
        ``(b, s, len(MEASUREMENTS))``, float32.
    """
    columns = others | {f"distance_{stream}": distance for stream, distance in distances.items()}
    for name in ERRORS:
        if f"psnr_frame_{name}" in wanted:
            columns[f"psnr_frame_{name}"] = psnr(error_of(maps, name).mean(dim=(-2, -1)))
        if f"psnr_patches_{name}" in wanted:
            columns[f"psnr_patches_{name}"] = psnr(error_of(blurred, name).square().mean(dim=(-2, -1)).sqrt())
        if f"psnr_patch_{name}" in wanted:
            columns[f"psnr_patch_{name}"] = psnr(error_of(blurred, name).amax(dim=(-2, -1)))
    nothing = torch.zeros_like(others["motion"])
    return torch.stack([columns.get(name, nothing) for name in MEASUREMENTS], dim=-1)


def error_of(maps: dict[ErrorName, Tensor], name: ErrorName) -> Tensor:
    """Return the map of an error, or that of the sum where a single-stream network has no such error."""
    return maps[name if name in maps else "sum"]


def min_max(values: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """``g`` of Eq. (16): 0 at ``lower``, 1 at ``upper``, straight on beyond them; 0 where the bounds coincide."""
    span = upper - lower
    return torch.where(span > 0, (values - lower) / torch.where(span > 0, span, 1.0), 0.0)


class ScoreHead(nn.Module):
    """``S = lambda (1 - g(P)) + (1-lambda)/2 g(D_i) + (1-lambda)/2 g(D_x)`` (Eq. 16); higher is more anomalous.

    With speed or looks, this is the source ``motion`` of a :class:`~.fusion.Fusion`, and a frame in whose window the
    picture changed as a whole is not judged: its sources count as usual.

    The bounds of ``g`` and the usual motion are buffers, learned from normal video by :meth:`calibrate`, so a live
    score needs no future. For the paper's protocol, which takes bounds from each test video, call :meth:`fuse` with
    that video's.

    Args:
        area: P of the mean error of the ``frame`` (the paper), of its worst ``patch``, or of the root mean square over
            all ``patches``, which lies between: a small figure is diluted in a frame, and one patch is soon the worst.
        error: which prediction error P measures: of the ``sum`` of both streams (the paper), of the ``spatial`` or
            ``temporal`` stream alone, or the mean of ``both`` errors.
        prediction_weight: ``lambda``, the share of P; 0.8 in the paper. 1 leaves the memory distances out.
        relative: whether P is of the error's share in the frame's motion, ``mse / (motion + usual motion)``: a crowd
            leaves more unexplained than one walker, and is no more abnormal. ``False`` is the paper.
        perspective: whether errors and motion are taken relative to what is usual at that height of the picture
            (:class:`~.perspective.Perspective`). ``False`` is the paper.
        speed: whether the greatest speed counts, too.
        looks: whether it counts how something looks, too.

    Raises:
        ValueError: an argument is not one of its choices or outside [0, 1].
    """

    lower: Tensor  # (len(MEASUREMENTS),)
    upper: Tensor
    usual_motion: Tensor  # scalar: mean of normal video

    def __init__(
        self,
        area: AreaName,
        error: ErrorName,
        prediction_weight: float,
        relative: bool = False,
        perspective: bool = False,
        speed: bool = False,
        looks: bool = False,
    ) -> None:
        super().__init__()
        if f"psnr_{area}_{error}" not in MEASUREMENTS:
            msg = f"score_area must be one of {AREAS} and score_error one of {ERRORS}; got {area!r} and {error!r}."
            raise ValueError(msg)
        if not 0 <= prediction_weight <= 1:
            msg = f"prediction_weight (lambda) must be in [0, 1]; got {prediction_weight}."
            raise ValueError(msg)
        self.area, self.error, self.prediction_weight, self.relative = area, error, prediction_weight, relative
        # Before calibration: usual spans of prediction errors in dB, and the full span of distances.
        error_span = (0.0, 20.0) if relative else (20.0, 40.0)
        distance = torch.tensor([name.startswith("distance") for name in MEASUREMENTS])
        self.register_buffer("lower", torch.where(distance, 0.0, error_span[0]))
        self.register_buffer("upper", torch.where(distance, 2.0, error_span[1]))
        self.register_buffer("usual_motion", torch.tensor(1e-3))
        self.perspective = Perspective((*ERRORS, "motion", "speed", "flow")) if perspective else None
        self.sources = ("motion", *["speed"] * speed, *["looks"] * looks)
        self.fusion = Fusion(self.sources) if len(self.sources) > 1 else None

    @property
    def wanted(self) -> tuple[str, ...]:
        """Names of the measurements that decide the score."""
        distances = ("distance_spatial", "distance_temporal") if self.prediction_weight < 1 else ()
        motion = ("motion",) if self.relative else ()
        return (f"psnr_{self.area}_{self.error}", *distances, *motion, *self.sources[1:])

    def in_perspective(self, name: str, maps: Tensor) -> Tensor:
        """Divide ``(..., h, w)`` maps of an error, ``motion`` or ``speed`` by what is usual, if this head does so."""
        return maps if self.perspective is None else maps / self.perspective.profile(name, maps.shape[-2])

    def forward(self, measurements: Tensor) -> Tensor:
        """Score ``(..., len(MEASUREMENTS))`` with what was learned from normal video."""
        return self.of_sources(self.by_source(measurements))

    def of_sources(self, scores: Tensor) -> Tensor:
        """Fuse the ``(..., len(sources))`` scores of the sources to one."""
        return scores[..., 0] if self.fusion is None else self.fusion(scores)

    def can_judge(self, measurements: Tensor) -> Tensor:
        """Say which of ``(..., len(MEASUREMENTS))`` can be judged: with a fusion, where less changed than the whole."""
        changed = measurements[..., MEASUREMENTS.index("changed")]
        return torch.ones_like(changed, dtype=torch.bool) if self.fusion is None else changed <= MOST

    def by_source(self, measurements: Tensor) -> Tensor:
        """Return the score of each of ``sources``, each on its own scale: ``(..., len(sources))``."""
        motion = self.fuse(self.compensate(measurements), self.lower, self.upper)
        others = [measurements[..., MEASUREMENTS.index(name)] for name in self.sources[1:]]
        scores = torch.stack([motion, *others], dim=-1)
        if self.fusion is None:
            return scores
        return torch.where(self.can_judge(measurements)[..., None], scores, self.fusion.mean)

    def odd(self, measurements: Tensor) -> Tensor:
        """Say how odd each source is, ``(..., len(sources))``: above 0 where normal video never was so odd."""
        if self.fusion is None:
            return torch.zeros_like(measurements[..., :1])
        return self.fusion.standardised(self.by_source(measurements)) - self.fusion.highest

    def compensate(self, measurements: Tensor) -> Tensor:
        """Take every PSNR in ``(..., len(MEASUREMENTS))`` relative to the frame's motion, if this head is so."""
        if not self.relative:
            return measurements
        motion = measurements[..., MEASUREMENTS.index("motion"), None] + self.usual_motion
        is_error = torch.tensor([name.startswith("psnr") for name in MEASUREMENTS], device=measurements.device)
        return torch.where(is_error, measurements - psnr(motion), measurements)

    def fuse(self, measurements: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
        """Eq. (16) of compensated measurements with given bounds of ``g``, one per measurement."""
        return self.fuse_normalised(min_max(measurements, lower, upper), f"psnr_{self.area}_{self.error}")

    def fuse_normalised(self, normalised: Tensor, prediction: str) -> Tensor:
        """Eq. (16) after ``g``, with the named measurement as P."""
        column = dict(zip(MEASUREMENTS, normalised.unbind(dim=-1), strict=True))
        distances = (column["distance_spatial"] + column["distance_temporal"]) / 2
        return self.prediction_weight * (1 - column[prediction]) + (1 - self.prediction_weight) * distances

    def calibrate(self, measurements: Tensor) -> None:
        """Learn the scales of this head from ``(n, len(MEASUREMENTS))`` measurements of normal frames."""
        judged = self.can_judge(measurements)
        measurements = measurements[judged] if bool(judged.any()) else measurements
        self.usual_motion.copy_(measurements[:, MEASUREMENTS.index("motion")].mean())
        compensated = self.compensate(measurements)
        self.lower.copy_(compensated.amin(dim=0))
        self.upper.copy_(compensated.amax(dim=0))
        if self.fusion is not None:
            self.fusion.calibrate(self.by_source(measurements))

    def shown(self, blurred: dict[ErrorName, Tensor], others: dict[str, Tensor]) -> Tensor:
        """The map that explains the score: ``(b, s, h, w)``.

        Args:
            blurred: errors, averaged over patches; of those the scored one.
            others: maps of the other sources, each of a size of its own.
        """
        error = error_of(blurred, self.error)
        if self.fusion is None:
            return error
        size = error.shape[-2:]
        enlarged = [F.interpolate(others[name], size, mode="bilinear") for name in self.sources[1:]]
        return self.fusion.fuse_maps([error, *enlarged])
