"""One step, three runtimes: the same numbers, and a sentence where one is missing or cannot."""

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from trained import calibrated

from anomalib_stmem import FrameStream, FrameStreams, STMem
from anomalib_stmem.runtime import exported_backends
from anomalib_stmem.runtime.backend import looks_beside
from anomalib_stmem.runtime.export import export_step, to_openvino
from anomalib_stmem.runtime.open_backend import open_backend
from anomalib_stmem.runtime.step import StreamStep
from anomalib_stmem.runtime.step_info import StepInfo
from anomalib_stmem.runtime.torch_backend import TorchBackend, fold_batch_norms

pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")
FRAMES = np.random.default_rng(0).integers(0, 256, (9, 20, 30, 3), np.uint8)
FRAMES[:, :, 7:] = FRAMES[0, :, 7:]  # a picture that changes as a whole is not judged


@pytest.fixture(scope="module", params=[False, pytest.param(True, marks=pytest.mark.slow)], ids=["motion", "looks"])
def model(request: pytest.FixtureRequest) -> STMem:
    """With looks, whose export takes a minute, only among the slow tests."""
    options = {"image_size": (32, 16), "stem": 2, "score_error": "both", "prediction_weight": 0.8}
    return calibrated(**options, appearance=request.param)


@pytest.fixture(scope="module")
def step_file(model: STMem, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_step(model.trained, tmp_path_factory.mktemp("step") / "stream.onnx")


@pytest.fixture(scope="module")
def openvino_file(step_file: Path) -> Path:
    looks = looks_beside(step_file)
    if looks.is_file():
        to_openvino(looks, looks.with_suffix(".xml"), None, ())
    return to_openvino(step_file, step_file.with_suffix(".xml"), None, ())


@pytest.fixture(scope="module")
def reference(model: STMem) -> list:
    return push_all(FrameStream(model))


def push_all(stream: FrameStream) -> list:
    return [stream.push(frame) for frame in FRAMES]


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_every_runtime_gives_torchs_verdicts(
    step_file: Path, openvino_file: Path, reference: list, backend: str
) -> None:
    path = step_file if backend == "onnxruntime" else openvino_file
    precision = "float32" if backend == "openvino" else "auto"
    for one, other in zip(push_all(FrameStream(path, precision=precision)), reference, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.score == pytest.approx(other.score, abs=1e-4)
            assert one.is_anomalous == other.is_anomalous
            np.testing.assert_allclose(one.anomaly_map, other.anomaly_map, atol=1e-4)


def test_openvino_reads_the_onnx_file_too(step_file: Path, reference: list) -> None:
    verdict = push_all(FrameStream(step_file, "openvino", precision="float32"))[-1]
    assert verdict.score == pytest.approx(reference[-1].score, abs=1e-4)


@pytest.mark.parametrize("place", ["cache", "file"])
def test_what_openvino_compiles_is_kept_where_there_is_a_place(
    model: STMem, openvino_file: Path, reference: list, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(exported_backends, "user_cache_path", lambda _: tmp_path / place)
    for _ in range(2):
        verdict = push_all(FrameStream(openvino_file, precision="float32"))[-1]
        assert verdict.score == pytest.approx(reference[-1].score, abs=1e-4)
    kept = [path.name for path in (tmp_path / "cache").rglob("*.blob")]
    graphs = 1 if model.model.appearance is None else 2  # the step and the looks
    assert len(kept) == (graphs if place == "cache" else 0)


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_bf16_stays_close(model: STMem, openvino_file: Path, reference: list, backend: str) -> None:
    source = model if backend == "torch" else openvino_file
    verdict = push_all(FrameStream(source, precision="bf16"))[-1]
    assert verdict.score == pytest.approx(reference[-1].score, abs=0.05)


def test_cameras_of_a_file_are_a_free_batch(openvino_file: Path, reference: list) -> None:
    streams = FrameStreams(openvino_file, ["a", "b"], precision="float32")
    for place, frame in enumerate(FRAMES):
        verdicts = streams.push({"a": frame, "b": FRAMES[-1 - place]} if place != 3 else {"a": frame})
    assert verdicts["a"].score == pytest.approx(reference[-1].score, abs=1e-4)
    assert verdicts["b"].frame_index == 7


def test_state_moves_between_runtimes(model: STMem, openvino_file: Path, reference: list) -> None:
    first, second = FrameStream(model), FrameStream(openvino_file, precision="float32")
    for frame in FRAMES[:7]:
        first.push(frame)
    second.restore(first.save())
    assert second.push(FRAMES[7]).score == pytest.approx(reference[7].score, abs=1e-4)


def test_info_travels_with_the_file(model: STMem, step_file: Path, openvino_file: Path) -> None:
    held = [open_backend(path).info for path in (step_file, openvino_file)]
    expected = TorchBackend(StreamStep(model.trained)).info
    assert held == [expected] * 2
    assert StepInfo.from_json(expected.to_json()) == expected
    assert (expected.window, expected.image_size, expected.is_calibrated) == (5, (32, 16), True)


def test_stream_only_runs_what_the_score_needs() -> None:
    names = set(TorchBackend(StreamStep(calibrated(score_error="temporal").trained)).info.state)
    looks = ("surprise", "nearest")
    assert names == {"frame", "changed", "temporal", *looks, *(f"past_temporal_{place}" for place in range(3))}


@pytest.mark.slow
@pytest.mark.parametrize("model", [True], indirect=True)
def test_looks_that_were_left_behind_are_missed(step_file: Path, tmp_path: Path) -> None:
    alone = tmp_path / "stream.onnx"
    alone.write_bytes(step_file.read_bytes())
    with pytest.raises(FileNotFoundError, match=r"stream_looks\.onnx\. stream\.onnx needs it beside itself"):
        FrameStream(alone)


def test_folding_changes_nothing(model: STMem) -> None:
    network = copy.deepcopy(model.model)
    fold_batch_norms(network)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    clip = torch.rand(1, 6, 3, 32, 16)
    torch.testing.assert_close(network.judge(clip).score, model.model.judge(clip).score, atol=1e-5, rtol=1e-5)


def test_normalisation_that_holds_an_activation_is_not_folded() -> None:
    """As in timm's networks, which may judge looks."""
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), timm.layers.BatchNormAct2d(2)).eval()
    picture = torch.randn(1, 1, 4, 4)
    expected = network(picture)
    fold_batch_norms(network)
    torch.testing.assert_close(network(picture), expected)


def test_stream_and_training_do_not_disturb_each_other(model: STMem, reference: list) -> None:
    own = copy.deepcopy(model).train()
    stream = FrameStream(own)
    assert own.training
    assert own.model.training
    with torch.no_grad():
        for parameter in own.parameters():
            parameter.zero_()
    assert push_all(stream)[-1].score == reference[-1].score


@pytest.mark.parametrize("package", ["onnxruntime", "openvino"])
def test_missing_runtime_is_named_with_its_extra(
    step_file: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    extra = "onnx" if package == "onnxruntime" else "openvino"
    with pytest.raises(ModuleNotFoundError, match=rf"{package} is not installed.*anomalib-stmem\[{extra}\]"):
        FrameStream(step_file, package)


@pytest.mark.parametrize(
    ("name", "backend", "kind", "complaint"),
    [
        ("missing.ckpt", "auto", FileNotFoundError, "There is no file .*missing.ckpt"),
        ("weights.pt", "auto", ValueError, r"weights.pt is no model. Expected a checkpoint \(.ckpt\)"),
        ("stream.onnx", "torch", ValueError, "torch runs checkpoints"),
        ("stream.onnx", "tensorrt", ValueError, "backend must be auto, torch, onnxruntime or openvino; got 'tensorrt'"),
        ("stream.xml", "onnxruntime", ValueError, "ONNX Runtime runs .onnx files"),
    ],
)
def test_what_cannot_run_is_refused(
    openvino_file: Path, name: str, backend: str, kind: type[Exception], complaint: str
) -> None:
    (openvino_file.parent / "weights.pt").touch()
    with pytest.raises(kind, match=complaint):
        FrameStream(openvino_file.parent / name, backend)


def test_streams_that_go_in_any_order_leave_signals_working(openvino_file: Path) -> None:
    """OpenVINO's cores swap signal stacks: with one for each stream, the end of a child crashed the process."""
    script = f"""
import faulthandler, signal, subprocess, sys
faulthandler.enable()
signal.signal(signal.SIGCHLD, lambda *_: None)
from anomalib_stmem import FrameStream
first, second = FrameStream({str(openvino_file)!r}), FrameStream({str(openvino_file)!r})
del first
del second
subprocess.run([sys.executable, "-c", "pass"], check=True)
"""
    ran = subprocess.run([sys.executable, "-c", script], check=False)
    assert ran.returncode == 0  # -11 is the crash


def test_options_that_a_backend_lacks_are_refused(model: STMem, step_file: Path) -> None:
    with pytest.raises(ValueError, match="Only backend 'torch' has the option compiled; onnxruntime has not"):
        FrameStream(step_file, compiled=True)
    with pytest.raises(ValueError, match="precision must be auto, float32 or bf16; got 'fp16'"):
        FrameStream(model, precision="fp16")


def test_onnx_runtime_has_no_bf16(step_file: Path) -> None:
    with pytest.raises(ValueError, match="no bfloat16 convolutions on CPUs"):
        FrameStream(step_file, precision="bf16")
