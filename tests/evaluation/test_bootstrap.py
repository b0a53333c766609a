import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from anomalib_stmem.evaluation import bootstrap


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    videos = np.repeat(np.arange(4), (30, 20, 40, 10))
    labels = rng.random(100) < 0.4
    labels[videos == 3] = True  # a video of one class
    return np.round(rng.normal(labels, 1), 1), labels, videos  # rounded: ties occur


def test_micro_is_the_auroc_of_all_frames(data: tuple) -> None:
    scores, labels, _ = data
    assert bootstrap.win_table(*data).micro() == pytest.approx(roc_auc_score(labels, scores))


def test_macro_is_the_mean_over_videos_with_both_classes(data: tuple) -> None:
    scores, labels, videos = data
    each = [roc_auc_score(labels[videos == v], scores[videos == v]) for v in range(3)]
    assert bootstrap.win_table(*data).macro() == pytest.approx(np.mean(each))


def test_draws_repeat_videos(data: tuple) -> None:
    scores, labels, videos = data
    drawn = [0, 0, 2, 3]
    rows = np.concatenate([np.flatnonzero(videos == v) for v in drawn])
    draws = np.bincount(drawn, minlength=4).astype(float)[None]
    interval = bootstrap.micro_interval(bootstrap.win_table(*data), draws)
    assert interval.low == interval.high == pytest.approx(roc_auc_score(labels[rows], scores[rows]))


def test_constant_score_is_fifty_everywhere(data: tuple) -> None:
    _, labels, videos = data
    table = bootstrap.win_table(np.zeros(100), labels, videos)
    assert table.micro() == table.macro() == 0.5


def test_one_class_has_no_auroc() -> None:
    table = bootstrap.win_table(np.arange(4.0), np.ones(4, bool), np.zeros(4, np.int64))
    assert np.isnan(table.micro())
    assert np.isnan(table.macro())


def test_interval_holds_the_figure_and_pairs_with_itself(data: tuple) -> None:
    table, draws = bootstrap.win_table(*data), bootstrap.resamples(4, draws=200)
    interval = bootstrap.micro_interval(table, draws)
    assert interval.low < table.micro() < interval.high
    against_itself = bootstrap.micro_interval(table, draws, against=table)
    assert (against_itself.low, against_itself.high) == (0, 0)


def test_better_score_has_a_gain_above_zero() -> None:
    rng = np.random.default_rng(1)
    labels, videos = rng.random(400) < 0.5, np.repeat(np.arange(8), 50)
    good, bad = labels + rng.normal(0, 0.3, 400), rng.normal(0, 1, 400)
    draws = bootstrap.resamples(8, draws=200)
    tables = [bootstrap.win_table(score, labels, videos) for score in (good, bad)]
    assert bootstrap.micro_interval(tables[0], draws, against=tables[1]).low > 0.2


def test_interval_is_the_middle_95_percent_of_drawn_sets_of_videos() -> None:
    """Each draw as a data set of its own: videos repeated, their frames pooled, the AUROC computed anew."""
    rng = np.random.default_rng(0)
    videos, labels = np.repeat(np.arange(12), 20), rng.random(240) < 0.4
    scores = rng.normal(labels + rng.normal(size=12)[videos], 1)
    draws, drawn = bootstrap.resamples(12, draws=400), []
    for counts in draws:
        rows = np.concatenate([np.tile(np.flatnonzero(videos == v), int(n)) for v, n in enumerate(counts)])
        drawn.append(roc_auc_score(labels[rows], scores[rows]))
    interval = bootstrap.micro_interval(bootstrap.win_table(scores, labels, videos), draws)
    assert sum(value < interval.low for value in drawn) == pytest.approx(10, abs=1)  # of 400, 2.5 %
    assert sum(value > interval.high for value in drawn) == pytest.approx(10, abs=1)
    assert len(bootstrap.resamples(4)) == 2000
