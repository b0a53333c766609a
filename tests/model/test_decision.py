"""From scores to alarms, frame by frame."""

import numpy as np
import pytest

from anomalib_stmem.model.decision import OFF, Decision, Rule, frames_at


def decided(scores: list[float], rule: Rule) -> list[bool]:
    decision = Decision(rule)
    return [decision.push(score) for score in scores]


def test_level_is_the_median_of_the_latest_scores_and_those_before_the_start_are_low() -> None:
    decision, scores = Decision(Rule(5)), np.random.default_rng(0).random(40)
    for place, score in enumerate(scores):
        decision.push(float(score))
        assert decision.level == np.median(np.concatenate([np.zeros(5), scores[: place + 1]])[-5:])


@pytest.mark.parametrize("many", [1, 2, 4])
def test_fewer_than_half_of_the_frames_are_no_alarm(many: int) -> None:
    """At 10 frames per second, 0.8 s are nine frames: four of them may be flashes."""
    assert frames_at(10.0) == 9
    assert not any(decided([0.2] * 10 + [1.0] * many + [0.2] * 10, Rule.at_rate(10.0)))


def test_half_of_them_are_one() -> None:
    found = decided([0.2] * 10 + [1.0] * 5 + [0.2] * 10, Rule.at_rate(10.0))
    assert found.index(True) == 14  # with the fifth high score


def test_an_alarm_goes_on_until_the_level_is_well_below_the_threshold() -> None:
    scores = [0.2] * 5 + [0.6] * 5 + [0.45] * 5 + [OFF - 0.01] * 5
    found = decided(scores, Rule(3))
    assert found == [False] * 6 + [True] * 10 + [False] * 4


def test_least_duration_delays_the_alarm() -> None:
    scores = [0.2] * 5 + [0.9] * 20
    first = decided(scores, Rule.at_rate(10.0)).index(True)
    assert decided(scores, Rule.at_rate(10.0, least_seconds=0.5)).index(True) == first + 5
    assert not any(decided([0.2] * 5 + [0.9] * 9 + [0.2] * 9, Rule.at_rate(10.0, least_seconds=1.0)))


def test_after_a_reset_nothing_is_remembered() -> None:
    decision = Decision(Rule(3))
    assert [decision.push(0.9) for _ in range(3)][-1]
    decision.reset()
    assert not decision.is_alarm
    assert not decision.push(0.9)


def test_a_saved_decision_goes_on_as_if_nothing_had_been() -> None:
    scores, rule = np.random.default_rng(1).random(60), Rule.at_rate(10.0, least_seconds=0.2)
    one, two = Decision(rule), Decision(rule)
    for place, score in enumerate(scores):
        if place % 7 == 3:
            saved = two.save()
            two = Decision(rule)
            two.restore(saved)
        assert one.push(float(score)) == two.push(float(score))
        assert one.level == two.level


@pytest.mark.parametrize(("rate", "frames"), [(1.0, 9), (2.5, 9), (10.0, 9), (15.0, 13), (25.0, 21), (30.0, 25)])
def test_number_of_frames_is_odd_nine_at_least_and_follows_the_rate(rate: float, frames: int) -> None:
    assert frames_at(rate) == frames
