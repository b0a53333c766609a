from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import reference
import replica
import torch
import torch.multiprocessing as mp

from anomalib_stmem.evaluation.region_metrics import RBDC, TBDC, area_under, link, match


@dataclass
class Regions:
    """What the metrics read of a batch."""

    anomaly_map: torch.Tensor
    gt_mask: torch.Tensor
    mask_known: torch.Tensor
    video_name: list[str]
    frames: torch.Tensor


def batch(maps: np.ndarray, masks: np.ndarray, videos: list[str] | None = None) -> Regions:
    count = len(maps)
    known = torch.ones(count, dtype=torch.bool)
    return Regions(
        torch.tensor(maps)[:, None].float(), torch.tensor(masks), known, videos or ["v"] * count, torch.arange(count)
    )


def value(metric, *batches: Regions) -> float:  # noqa: ANN001
    for one in batches:
        metric.update(one)
    return float(metric.compute())


def square(*corners: tuple[int, int], size: int = 4) -> np.ndarray:
    image = np.zeros((16, 16), bool)
    for y, x in corners:
        image[y : y + size, x : x + size] = True
    return image


# -- by hand


def test_region_is_found_from_a_tenth_of_overlap_on() -> None:
    true = square((0, 0)).astype(int)  # 16 pixels
    shifted = square((3, 1)).astype(int)  # 3 shared, union 29: .103
    found, false = match(true, shifted, 0.1)
    assert (found.tolist(), false) == ([True], 0)
    apart = square((3, 2)).astype(int)  # 2 shared, union 30: .067
    found, false = match(true, apart, 0.1)
    assert (found.tolist(), false) == ([False], 1)


def test_one_large_detection_does_not_find_a_small_region() -> None:
    found, false = match(square((6, 6), size=2).astype(int), np.ones((16, 16), int), 0.1)
    assert (found.tolist(), false) == ([False], 1)


def test_one_detection_may_find_two_regions() -> None:
    true = square((0, 0)).astype(int) + 2 * square((0, 5))
    found, false = match(true, (square((0, 0)) | square((0, 5)) | square((0, 3))).astype(int), 0.1)
    assert (found.tolist(), false) == ([True, True], 0)


def test_perfect_map_scores_one() -> None:
    masks = np.stack([square((2, 2)), square((3, 3)), square()])
    for metric in (RBDC, TBDC):
        assert value(metric(), batch(masks.astype(float), masks)) == pytest.approx(1)


def test_false_region_in_every_frame_costs_what_it_outscores() -> None:
    masks = np.stack([square((2, 2))] * 4)
    maps = 0.4 * masks + 0.8 * np.stack([square((10, 10))] * 4)  # the false one is stronger in each frame
    # One false positive per frame comes before any true one: the rate is 0 up to 1 per frame.
    assert value(RBDC(), batch(maps, masks)) == 0
    maps[2:, 10:, 10:] = 0  # now in half of the frames: 0 up to .5 per frame, then 1
    assert value(RBDC(), batch(maps, masks)) == pytest.approx(0.5)


def test_track_is_found_by_a_tenth_of_its_regions() -> None:
    masks = np.stack([square((4, 4))] * 20)
    maps = np.zeros((20, 16, 16))
    maps[7, 4:8, 4:8] = 1
    assert value(TBDC(), batch(maps, masks)) == 0
    maps[8, 4:8, 4:8] = 1
    assert value(TBDC(), batch(maps, masks)) == pytest.approx(1)
    assert value(RBDC(), batch(maps, masks)) == pytest.approx(0.1)


def test_area_is_of_the_best_rate_at_no_more_false_positives() -> None:
    # Raising the threshold splits a region: more false positives at a lower rate must not count against it.
    assert area_under(np.array([0.5, 0.25]), np.array([0.0, 0.5])) == pytest.approx(0.5)
    assert area_under(np.array([0.5, 1.0]), np.array([0.0, 3.0])) == pytest.approx(0.5 + 0.5 / 3 / 2)


def boxes(*rows: tuple[int, ...]) -> np.ndarray:
    return np.array(rows)


def test_tracks_follow_the_greatest_overlap_one_to_one() -> None:
    # Two people walk past each other; the third begins later.
    tracks = link(
        boxes(
            (0, 0, 0, 0, 10, 10), (0, 0, 20, 0, 10, 10),
            (0, 1, 2, 0, 10, 10), (0, 1, 18, 0, 10, 10),
            (0, 2, 4, 0, 10, 10), (0, 2, 16, 0, 10, 10), (0, 2, 50, 0, 10, 10),
        )
    )  # fmt: skip
    assert tracks.tolist() == [0, 1, 0, 1, 0, 1, 2]


def test_a_track_goes_on_only_once() -> None:
    tracks = link(boxes((0, 0, 0, 0, 10, 10), (0, 1, 0, 0, 10, 10), (0, 1, 5, 0, 10, 10)))
    assert tracks.tolist() == [0, 0, 1]


def test_tracks_end_at_gaps_and_with_their_video() -> None:
    tracks = link(boxes((0, 0, 0, 0, 9, 9), (0, 2, 0, 0, 9, 9), (1, 3, 0, 0, 9, 9)))
    assert len(set(tracks.tolist())) == 3


def test_order_of_rows_does_not_matter() -> None:
    rows = boxes((0, 2, 4, 0, 9, 9), (0, 0, 0, 0, 9, 9), (0, 1, 2, 0, 9, 9), (0, 1, 40, 0, 9, 9))
    tracks = link(rows)
    assert tracks[0] == tracks[1] == tracks[2] != tracks[3]


# -- against the slow self


@pytest.fixture
def noisy() -> Regions:
    rng = np.random.default_rng(0)
    masks = np.stack([square((2, min(t, 11)), (10, 11 - t)) if t % 4 else square() for t in range(12)])
    smooth = rng.random((12, 4, 4)).repeat(4, axis=1).repeat(4, axis=2)
    return batch(np.clip(0.55 * smooth + 0.35 * masks * rng.random((12, 1, 1)), 0, 1), masks, ["a"] * 6 + ["b"] * 6)


def test_criteria_are_their_slow_selves(noisy: Regions) -> None:
    rbdc, tbdc = RBDC(num_levels=20), TBDC(num_levels=20)
    found, false = reference.region_curve(
        noisy.anomaly_map[:, 0].tolist(), noisy.gt_mask.tolist(), rbdc.levels.tolist(), 0.1
    )
    region_rates = [np.mean([hit for frame in level for hit in frame]) for level in found]
    expected = reference.area_to_one_false_positive(list(zip(false, region_rates, strict=True)))
    assert value(rbdc, noisy) == pytest.approx(expected, abs=1e-3)
    # The tracks of this scene: in each run of abnormal frames of a video, the upper square and the lower one.
    tracks: dict[tuple, list[tuple[int, int]]] = {}
    for frame in range(12):
        regions = reference.components(noisy.gt_mask[frame].tolist())
        for place, region in enumerate(regions):
            upper = min(y for y, _ in region) < 8
            tracks.setdefault((noisy.video_name[frame], frame // 4, upper), []).append((frame, place))
    track_rates = [
        np.mean([np.mean([level[f][p] for f, p in rows]) >= 0.1 for rows in tracks.values()]) for level in found
    ]
    expected = reference.area_to_one_false_positive(list(zip(false, track_rates, strict=True)))
    assert value(tbdc, noisy) == pytest.approx(expected, abs=1e-3)


def rows(regions: Regions, chosen: list[int]) -> Regions:
    names = [regions.video_name[row] for row in chosen]
    return Regions(
        regions.anomaly_map[chosen], regions.gt_mask[chosen], regions.mask_known[chosen], names, regions.frames[chosen]
    )


@pytest.mark.parametrize("make", [RBDC, TBDC])
def test_order_of_frames_and_batches_do_not_matter(noisy: Regions, make) -> None:  # noqa: ANN001
    order = np.random.default_rng(1).permutation(12).tolist()
    assert value(make(), rows(noisy, order[:5]), rows(noisy, order[5:])) == pytest.approx(value(make(), noisy))


@pytest.mark.slow
def test_two_devices_with_uneven_shares_agree_with_one(noisy: Regions, tmp_path: Path) -> None:
    shares = [vars(rows(noisy, [0])), vars(rows(noisy, list(range(1, 12))))]  # the first device sees no region
    mp.spawn(replica.measure_regions, (tmp_path, shares), nprocs=2)
    assert [float(torch.load(tmp_path / f"{rank}.pt")) for rank in range(2)] == [
        pytest.approx(value(TBDC(), noisy))
    ] * 2


def test_frames_without_known_mask_do_not_count(noisy: Regions) -> None:
    expected = value(RBDC(), rows(noisy, list(range(9))))
    noisy.mask_known[9:] = False
    assert value(RBDC(), noisy) == pytest.approx(expected)


def test_no_region_has_no_value() -> None:
    for metric in (RBDC, TBDC):
        assert np.isnan(value(metric(), batch(np.zeros((2, 16, 16)), np.zeros((2, 16, 16), bool))))
