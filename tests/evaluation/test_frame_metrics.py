from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import reference
import replica
import torch
import torch.multiprocessing as mp

from anomalib_stmem.evaluation.frame_metrics import (
    AveragePrecision,
    EqualErrorRate,
    VideoAUROC,
    video_key,
)


@dataclass
class Frames:
    """What the metrics read of a batch."""

    pred_score: torch.Tensor
    gt_label: torch.Tensor
    video_name: list[str]
    frames: torch.Tensor

    def rows(self, chosen: list[int]) -> "Frames":
        names = [self.video_name[row] for row in chosen]
        return Frames(self.pred_score[chosen], self.gt_label[chosen], names, self.frames[chosen])


@pytest.fixture
def frames() -> Frames:
    rng = np.random.default_rng(0)
    names = ["a"] * 30 + ["b"] * 20 + ["c"] * 10
    labels = rng.random(60) < 0.4
    labels[50:] = True  # video c has one class
    scores = np.round(rng.normal(labels, 1), 1)  # rounded: ties occur
    numbers = np.concatenate([np.arange(5, 5 + count) for count in (30, 20, 10)])
    return Frames(torch.tensor(scores), torch.tensor(labels), names, torch.tensor(numbers))


def of_video(frames: Frames, name: str) -> tuple[list[float], list[bool]]:
    rows = [row for row, own in enumerate(frames.video_name) if own == name]
    return frames.pred_score[rows].tolist(), frames.gt_label[rows].tolist()


def value(metric, *batches: Frames) -> float:  # noqa: ANN001
    for batch in batches:
        metric.update(batch)
    return float(metric.compute())


def test_micro_pools_all_frames(frames: Frames) -> None:
    expected = reference.auroc(frames.pred_score.tolist(), frames.gt_label.tolist())
    assert value(VideoAUROC(), frames) == pytest.approx(expected)


def test_macro_leaves_out_videos_of_one_class(frames: Frames) -> None:
    expected = np.mean([reference.auroc(*of_video(frames, name)) for name in "ab"])
    assert value(VideoAUROC(average="macro"), frames) == pytest.approx(expected)


def test_padded_counts_them_with_a_frame_of_each_class_added(frames: Frames) -> None:
    each = []
    for name in "abc":
        scores, labels = of_video(frames, name)
        each.append(reference.auroc([*scores, min(scores), max(scores)], [*labels, False, True]))
    assert value(VideoAUROC(average="padded"), frames) == pytest.approx(np.mean(each))


def test_average_precision(frames: Frames) -> None:
    expected = reference.average_precision(frames.pred_score.tolist(), frames.gt_label.tolist())
    assert value(AveragePrecision(), frames) == pytest.approx(expected)


def test_equal_error_rate(frames: Frames) -> None:
    expected = reference.equal_error_rate(frames.pred_score.tolist(), frames.gt_label.tolist())
    assert value(EqualErrorRate(), frames) == pytest.approx(expected)


def test_perfect_and_reversed_scores_have_the_rates_of_their_kind() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    for sign, expected in ((1, 0.0), (-1, 1.0)):
        batch = Frames(sign * labels.double(), labels, ["a"] * 4, torch.arange(4))
        assert value(EqualErrorRate(), batch) == pytest.approx(expected)


def test_normalised_then_smoothed_within_each_video(frames: Frames) -> None:
    scores: list[float] = []
    for name in "abc":
        own = of_video(frames, name)[0]
        mapped = [(score - min(own)) / (max(own) - min(own)) for score in own]
        scores += reference.running_average(mapped, 0.2)
    expected = reference.auroc(scores, frames.gt_label.tolist())
    assert value(VideoAUROC(normalisation="per_video", smoothing="causal"), frames) == pytest.approx(expected)


@pytest.mark.parametrize("make", [VideoAUROC, lambda: VideoAUROC(average="macro", smoothing="causal"), EqualErrorRate])
def test_order_of_frames_batches_and_repeats_do_not_matter(frames: Frames, make) -> None:  # noqa: ANN001
    shuffled = np.random.default_rng(1).permutation(60).tolist()
    batches = [frames.rows(shuffled[:7]), frames.rows(shuffled[7:40]), frames.rows(shuffled[35:])]
    assert value(make(), *batches) == value(make(), frames)


def test_two_devices_with_uneven_shares_agree_with_one(frames: Frames, tmp_path: Path) -> None:
    shares = [
        (frames.pred_score[rows], frames.gt_label[rows], frames.video_name[rows], frames.frames[rows])
        for rows in (slice(0, 11), slice(11, 60))
    ]
    mp.spawn(replica.measure_frames, (tmp_path, shares), nprocs=2)
    expected = value(VideoAUROC(average="macro", smoothing="causal"), frames)
    assert [float(torch.load(tmp_path / f"{rank}.pt")) for rank in range(2)] == [pytest.approx(expected)] * 2


def test_one_class_has_no_value() -> None:
    batch = Frames(torch.rand(4), torch.ones(4), ["a"] * 4, torch.arange(4))
    for metric in (VideoAUROC(), VideoAUROC(average="macro"), EqualErrorRate()):
        assert np.isnan(value(metric, batch))


def test_constant_score_is_fifty() -> None:
    batch = Frames(torch.zeros(6), torch.tensor([0, 1] * 3), ["a", "b"] * 3, torch.arange(6))
    for smoothing in ("none", "causal", "centred"):
        assert value(VideoAUROC(smoothing=smoothing), batch) == 0.5


def test_other_averages_are_refused() -> None:
    with pytest.raises(ValueError, match="average must be 'micro', 'macro' or 'padded'; got 'mean'"):
        VideoAUROC(average="mean")


def test_a_videos_number_survives_as_a_float() -> None:
    keys = [video_key(f"video {number}") for number in range(1000)]
    assert len(set(keys)) == 1000
    assert all(int(float(key)) == key for key in keys)
