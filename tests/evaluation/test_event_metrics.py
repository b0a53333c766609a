"""Metrics of events, and the tables of a report."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score

from anomalib_stmem.evaluation.decided import decide
from anomalib_stmem.evaluation.event_metrics import AlarmDelay, EventsFound, EventsFoundAt, F1Score, FalseAlarmsPerHour
from anomalib_stmem.evaluation.event_tables import at_the_threshold, compare_events, curves_of, timeline_of
from anomalib_stmem.evaluation.tables import single

METRICS = (F1Score, EventsFound, FalseAlarmsPerHour, AlarmDelay, EventsFoundAt)


@dataclass
class Frames:
    """What the metrics read of a batch."""

    pred_score: torch.Tensor
    gt_label: torch.Tensor
    video_name: list[str]
    frames: torch.Tensor
    frame_rate: torch.Tensor

    def rows(self, chosen: list[int]) -> "Frames":
        names = [self.video_name[row] for row in chosen]
        rest = (self.pred_score, self.gt_label, self.frames, self.frame_rate)
        score, label, frame, rate = (column[chosen] for column in rest)
        return Frames(score, label, names, frame, rate)


@pytest.fixture
def frames() -> Frames:
    """Two videos of 20 s at 10 frames per second. One event is found after 1 s, one missed, one alarm false."""
    scores, labels = torch.full((400,), 0.2), torch.zeros(400)
    labels[50:90] = labels[300:340] = 1
    scores[56:95] = scores[150:170] = 0.8
    return Frames(scores, labels, ["a"] * 200 + ["b"] * 200, torch.arange(200).repeat(2), torch.full((400,), 10.0))


def value(metric: torch.nn.Module, batch: Frames) -> float:
    metric.update(batch)
    return float(metric.compute())


def test_metrics_count_what_the_decision_does(frames: Frames) -> None:
    assert value(EventsFound(), frames) == 0.5
    assert value(FalseAlarmsPerHour(), frames) == pytest.approx(1 / (32 / 3600))
    assert value(AlarmDelay(), frames) == pytest.approx(1.0)  # 0.6 s, and half of 0.9 s of frames
    assert value(EventsFoundAt(per_hour=0.0), frames) == 0.0  # the false alarm is as high
    assert value(EventsFoundAt(per_hour=200.0), frames) == 0.5
    alarm = torch.cat([torch.from_numpy(decide(part.double().numpy(), one)) for part, one in halves(frames)])
    assert value(F1Score(), frames) == pytest.approx(f1_score(frames.gt_label, alarm))


def halves(frames: Frames) -> list:
    table = pd.DataFrame({"video": frames.video_name, "frame": frames.frames, "rate": frames.frame_rate})
    return [(frames.pred_score[rows], timeline_of(table[rows])) for rows in (slice(0, 200), slice(200, 400))]


@pytest.mark.parametrize("metric", METRICS)
def test_order_of_the_frames_does_not_matter(metric: type, frames: Frames) -> None:
    order = np.random.default_rng(0).permutation(400).tolist()
    one, two = metric(), metric()
    for start in range(0, 400, 40):
        two.update(frames.rows(order[start : start + 40]))
    assert value(one, frames) == float(two.compute())


def test_report_tells_the_alarms_at_the_threshold_and_compares_scores(frames: Frames) -> None:
    table = pd.DataFrame(
        {
            "video": frames.video_name,
            "frame": frames.frames.numpy(),
            "rate": frames.frame_rate.numpy(),
            "label": frames.gt_label.numpy(),
        }
    )
    scores = frames.pred_score.double().numpy()
    figures = at_the_threshold(decide(scores, timeline_of(table)), table)
    assert (figures["events"], figures["found"], figures["false_alarms"]) == (2, 1, 1)
    assert figures["median_delay"] == pytest.approx(1.0)
    assert figures["share_found_interval"] == [0.0, 1.0]
    rows = {"score": pd.Series(scores), "truth": table.label, "control: constant": pd.Series(np.zeros(400))}
    events = compare_events(curves_of({name: single(values, table) for name, values in rows.items()}, table))
    assert events.at_1.tolist() == [0.0, 100.0, 0.0]
    assert list(events.columns) == ["at_1", "at_1_low", "at_1_high", "at_10", "at_10_low", "at_10_high"]


def test_what_is_not_defined_is_none() -> None:
    table = pd.DataFrame({"video": "a", "frame": np.arange(20), "rate": 10.0, "label": 0})
    figures = at_the_threshold(np.zeros(20, bool), table)
    assert (figures["median_delay"], figures["share_found_interval"]) == (None, [None, None])
    assert figures["false_per_hour"] == 0
