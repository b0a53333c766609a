"""The benchmarks run as their first lines say, without data."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from trained import calibrated

from anomalib_stmem import FrameStream

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.slow
def test_reading(tmp_path: Path) -> None:
    command = [sys.executable, BENCHMARKS / "reading.py", "--size", "32", "32", "--json", tmp_path / "rows.json"]
    subprocess.run(command, check=True)
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert {row["decodes_per_frame"] for row in rows if "decodes_per_frame" in row} == {1.0}
    assert all(row["ratio"] > 0 for row in rows)


@pytest.mark.slow
def test_long_files() -> None:
    weights = BENCHMARKS.parent / "weights" / "ped2.ckpt"
    command = [sys.executable, BENCHMARKS / "long_files.py", "--ckpt", weights, "--hours", "0.01", "--joins", "4"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "first verdict of 0.01 h" in done.stdout
    assert "MiB over a file joined 4 times" in done.stdout


@pytest.mark.slow
def test_speed(tmp_path: Path) -> None:
    command = [sys.executable, BENCHMARKS / "speed.py", "--size", "32", "32", "--width", "2", "--endurance", "2000"]
    subprocess.run([*command, "--json", tmp_path / "rows.json", "--chart", tmp_path / "chart.png"], check=True)
    found = json.loads((tmp_path / "rows.json").read_text())
    ran = {(row["mode"], row["runtime"]) for row in found["network"]}
    assert ran >= {
        (mode, name) for mode in ("window", "clip", "stream") for name in ("torch", "onnxruntime", "openvino")
    }
    assert ("plain window", "torch") in ran
    assert all(row["fps"] > 0 and row["p95_ms"] >= row["median_ms"] for row in found["network"])
    assert {(row["mode"], row["runtime"]) for row in found["end_to_end"]} == ran - {("plain window", "torch")}
    assert 0 < found["memory_share_of_forward"] < 1
    assert [row["mode"] for row in found["training"]] == ["plain window", "window", "clip"]
    assert all(0 < row["share_in_convolutions"] < 1 for row in found["training"])
    assert found["endurance"]["rss_growth"] < 0.05
    assert (tmp_path / "chart.png").stat().st_size > 1000


def test_plain_window_is_the_network_computed_wastefully() -> None:
    """What the stream is compared with gives the same numbers."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        speed = importlib.import_module("speed")
    finally:
        sys.path.remove(str(BENCHMARKS))
    network = calibrated(score_error="both").model
    clip = torch.rand(2, 6, 3, 16, 16) * 2 - 1
    expected = network.judge(clip).score
    for stream in (network.spatial, network.temporal):
        stream.encoder = speed.PlainEncoder(stream.encoder)
    torch.testing.assert_close(network.judge(clip).score, expected)


@pytest.mark.slow
def test_watch() -> None:
    command = [sys.executable, BENCHMARKS / "watch.py", "--frames", "40", "--sizes", "64x48"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "watch, whole films" in done.stdout
    assert done.stdout.count("64x48") == 2


@pytest.mark.slow
def test_looks() -> None:
    command = [sys.executable, BENCHMARKS / "looks.py", "--size", "32", "32", "--frames", "20", "--backends", "torch"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "with looks" in done.stdout


def test_each_nuisance_shows_frames_of_the_video_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    kinds = importlib.import_module("nuisance_kinds")
    images = [np.random.default_rng(0).integers(40, 200, (48, 64, 3), np.uint8)] * 60  # six seconds of a still picture
    for name, nuisance in (kinds.NUISANCES | kinds.TROUBLES).items():
        shown = nuisance(kinds.shown_at(images, 10.0), 10.0, np.random.default_rng(0))
        assert 0.8 * len(images) < len(shown) <= len(images), name
        assert {(one.image.shape, one.image.dtype) for one in shown} == {((48, 64, 3), np.dtype(np.uint8))}, name
        assert [one.number for one in shown] == sorted(one.number for one in shown), name
        seconds = [one.seconds for one in shown]
        assert seconds == sorted(seconds), name
        same = {"clean", "lost frames", "repeated frames", "late frames", "frozen"}  # what they do is to time
        assert (np.abs(shown[-1].image.astype(int) - images[0]).max() > 2) == (name not in same), name


def test_nuisances_are_judged_as_a_watch_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    suite, kinds = (importlib.import_module(name) for name in ("nuisances", "nuisance_kinds"))
    model = calibrated(image_size=(16, 24), appearance=False).trained
    images = list(np.random.default_rng(0).integers(0, 256, (30, 20, 30, 3), np.uint8))
    images = [np.where(np.arange(30)[None, :, None] < 6, one, images[0]) for one in images]
    stream, shown = FrameStream(model), kinds.shown_at(images, 25.0)
    scores, alarms, told = suite.judge(stream, shown, len(images), 25.0)
    stream.reset()
    verdicts = [stream.push(image) for image in images]
    np.testing.assert_allclose(scores[5:], [verdict.score for verdict in verdicts[5:]], atol=1e-6)
    assert alarms[5:].tolist() == [verdict.is_anomalous for verdict in verdicts[5:]]
    assert np.isnan(scores[:5]).all()
    assert not told
