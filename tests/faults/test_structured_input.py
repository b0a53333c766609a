"""Input that is well formed and makes no sense: options, polygons, labels, masks, time stamps, event lines."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from makers import picture

from anomalib_stmem.data.labels import load_intervals, load_labels
from anomalib_stmem.data.masks import open_masks
from anomalib_stmem.learning.recording import seconds_of
from anomalib_stmem.results.reading import read_events
from anomalib_stmem.video.choosing import Tally, chosen_frames
from anomalib_stmem.video.damage import Damage
from anomalib_stmem.video.frame_rate import FramePicker
from anomalib_stmem.video.region import region_of
from anomalib_stmem.video.source import find_sources
from anomalib_stmem.watching.mqtt import check_mqtt
from anomalib_stmem.watching.space import bytes_of
from anomalib_stmem.watching.webhook import check_url

often = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
numbers = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(10**20), 10**20)


@often
@given(st.text(max_size=40))
def test_options_are_taken_or_refused_in_a_sentence(text: str) -> None:
    for read in (bytes_of, seconds_of, check_url, check_mqtt, lambda given: find_sources([given])):
        try:
            read(text)
        except (ValueError, FileNotFoundError, ModuleNotFoundError) as error:  # noqa: PERF203
            assert str(error).endswith((".", ")", "/topic")), error  # noqa: PT017


@often
@given(st.lists(st.lists(st.tuples(numbers, numbers), max_size=5), min_size=1, max_size=3))
def test_polygons_are_taken_or_refused_in_a_sentence(polygons: list[list[tuple[float, float]]]) -> None:
    text = "; ".join(" ".join(f"{x},{y}" for x, y in polygon) for polygon in polygons)
    fits = all(len(polygon) >= 3 and all(0 <= value <= 1 for xy in polygon for value in xy) for polygon in polygons)
    try:
        region = region_of((24, 32), text, None)
    except (ValueError, FileNotFoundError) as error:
        assert "ignore" in str(error)  # noqa: PT017
        assert not fits or "nothing" in str(error).lower()  # noqa: PT017
    else:
        assert region.shape == (24, 32)
        assert fits


@often
@given(st.lists(st.tuples(st.sampled_from(["gate", "yard", ""]), numbers, numbers), max_size=4))
def test_intervals_are_taken_or_refused_with_their_line(tmp_path: Path, rows: list[tuple[str, float, float]]) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(["video,start,end", *(f"{name},{start},{end}" for name, start, end in rows), ""]))
    try:
        found = load_intervals(path, {"gate": 12})["gate"]
    except ValueError as error:
        assert "labels.csv, line " in str(error)  # noqa: PT017
    else:
        expected = np.zeros(12, bool)
        for _, start, end in rows:
            expected[int(start) : int(end) + 1] = True
        assert (found == expected).all()


@often
@given(st.lists(st.integers(-2, 3) | st.just(math.nan) | st.just(0.5), max_size=6), st.integers(0, 2))
def test_arrays_of_labels_hold_zeros_and_ones_or_are_refused(tmp_path: Path, values: list[Any], kind: int) -> None:
    path = tmp_path / "labels.npy"
    np.save(path, [np.array(values), np.array(values, str), np.array(values, object)][kind], allow_pickle=True)
    try:
        found = load_labels(path)
    except ValueError as error:
        assert "labels.npy" in str(error)  # noqa: PT017
    else:
        assert kind == 0 or not values
        assert found.tolist() == [bool(value) for value in values]


@often
@given(
    st.sampled_from([(), (3,), (3, 4), (3, 4, 5), (0, 4, 5), (3, 4, 5, 6)]), st.sampled_from(["u1", "f4", "U2", "O"])
)
def test_arrays_of_masks_are_three_dimensional_or_refused(tmp_path: Path, shape: tuple[int, ...], kind: str) -> None:
    path = tmp_path / "masks.npy"
    np.save(path, np.zeros(shape, kind), allow_pickle=True)
    try:
        masks = open_masks(path)
    except ValueError as error:
        assert "masks.npy" in str(error)  # noqa: PT017
    else:
        assert (len(shape), len(masks)) == (3, shape[0])
        assert kind in {"u1", "f4"}


class Stamped:
    """A decoder whose frames have any time stamps."""

    follows_gap = is_damaged = False
    share_read, file, frame_rate = None, None, 10.0

    def __init__(self, seconds: list[float]) -> None:
        self.damage, self._seconds, self._place = Damage(), seconds, -1

    def advance(self) -> bool:
        self._place += 1
        return self._place < len(self._seconds)

    def picture(self) -> np.ndarray:
        return picture(90, self._place, (48, 64))

    @property
    def seconds(self) -> float:
        return self._seconds[self._place]


@often
@given(
    st.lists(st.floats(-1e12, 1e12), max_size=40),
    st.sampled_from([None, 1.0, 10.0, 25.0]),
    st.sampled_from([None, 0.1, 10.0, 999.0]),
)
def test_any_time_stamps_leave_every_frame_counted_once(
    seconds: list[float], wanted: float | None, rate: float | None
) -> None:
    tally = Tally()
    frames = list(chosen_frames(Stamped(seconds), FramePicker(wanted, rate), lambda at: at, tally, lambda: True))
    frozen = sum(frame.frozen_since is not None for frame in frames)
    assert tally.read == len(seconds) == len(frames) - frozen + tally.skipped + tally.repeated + tally.damaged


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@often
@given(anything)
def test_events_are_records_or_refused(tmp_path: Path, data: Any) -> None:
    (tmp_path / "scores.csv").touch()
    (tmp_path / "events.json").write_text(json.dumps(data))
    try:
        assert read_events(tmp_path, tmp_path) == data == []
    except ValueError as error:
        assert "events.json is damaged" in str(error)  # noqa: PT017


@pytest.mark.parametrize("line", [b"[]\n", b"{}\n", b'{"snapshot": 1}\n', b"\xff\n", b"nonsense\n"])
def test_event_lines_of_a_watch_that_was_broken_off(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "scores.csv.part").write_text("seconds,pred_score\n0.1,0.2\n")
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "events.jsonl").write_bytes(line)
    try:
        assert read_events(tmp_path / "gate", tmp_path) == []
    except ValueError as error:
        assert "events.jsonl" in str(error)  # noqa: PT017
