"""How fast STMem judges and trains on this machine, in window, clip and stream mode, beside what the machine could do.

    python benchmarks/speed.py [--video FILE] [--size 256 256] [--width 16 --stem 2] [--json FILE] [--chart FILE]

Everything in one run: frames per second and latency of the network alone for each mode, runtime and precision (both
sub-networks run in all of them); end to end from a video file; training; the share of convolutions and memories; peak
memory; and the floor: operations over the rate of a matrix product, or bytes over that of a copy, whichever is longer.
``--endurance 100000`` also pushes so many small frames through a stream and prints how its memory grew.
"""

import argparse
import copy
import json
import platform
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import torch
from floor import Times, conv_bytes, copy_rate, matrix_rate, operations, timed
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from anomalib_stmem import ClipPredictor, FrameStream, STMem, write_scene
from anomalib_stmem.model.loss import stream_loss
from anomalib_stmem.model.memory import PrototypeMemory
from anomalib_stmem.model.precision import has_bfloat16_units
from anomalib_stmem.runtime.backend import empty_state, openvino_core
from anomalib_stmem.runtime.export import export_clips, export_step, to_openvino
from anomalib_stmem.runtime.exported_backends import OpenVinoBackend
from anomalib_stmem.runtime.open_backend import open_backend
from anomalib_stmem.runtime.step import StreamStep
from anomalib_stmem.runtime.torch_backend import TorchBackend, fold_batch_norms
from anomalib_stmem.video.finding import find_videos
from anomalib_stmem.video.recorded import read_once

CLIP = 16  # frames
Row = dict[str, Any]


class PlainEncoder(nn.Module):
    """An encoder that computes every scale of every frame of a window, as a straightforward version does."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.to_blocks, self.blocks, self.shifts = encoder.to_blocks, encoder.blocks, encoder.shifts

    def forward(self, frames: Tensor, num_clips: int) -> list[Tensor]:
        """As the encoder, but zeros are shifted into the first frame, which is kept."""
        features, maps = self.to_blocks(frames), []
        for scale, block in enumerate(self.blocks):
            features = block(features)
            if str(scale) in self.shifts:
                shift = self.shifts[str(scale)]
                moved = shift.moved(features)
                features = shift(features, torch.cat([torch.zeros_like(moved[:num_clips]), moved[:-num_clips]]))
            maps.append(features)
        return maps


def make_model(options: argparse.Namespace, **changes: Any) -> STMem:
    """Make an untrained model; speed does not depend on the weights."""
    settings = {"width": options.width, "stem": options.stem, "image_size": tuple(options.size), "score_error": "both"}
    return STMem(**(settings | changes)).eval()


def clip_work(model: STMem, frames: int, precision: str, device: torch.device, plain: bool = False) -> Callable:
    """Judge one clip by the network alone, batch normalisations folded as in a stream."""
    network = copy.deepcopy(model.model).to(device)
    network.precision = precision
    fold_batch_norms(network)
    if plain:
        for stream in (network.spatial, network.temporal):
            stream.encoder = PlainEncoder(stream.encoder)
    clip = torch.rand(1, frames, model.model.channels, *model.hparams["image_size"], device=device) * 2 - 1
    return lambda: network.judge(clip)


def stream_work(backend: Any) -> Callable:
    """Judge one frame by a backend, from state to state."""
    state = empty_state(backend, 1)
    frame = np.random.default_rng(0).random((1, 3, *backend.info.image_size), np.float32)

    def work() -> None:
        nonlocal state
        _, state = backend.run(frame, state)

    return work


def network_rows(model: STMem, options: argparse.Namespace, device: torch.device) -> Iterator[Row]:
    """Time the network alone, in every mode, runtime and precision."""
    window = model.model.window + 1
    judged = CLIP - model.model.window
    precisions = ["float32", "bf16"] if has_bfloat16_units(device) or options.bf16 else ["float32"]
    if "torch" in options.runtimes:
        for precision in precisions:
            with torch.no_grad():
                for mode, frames, plain in (
                    ("plain window", window, True),
                    ("window", window, False),
                    ("clip", CLIP, False),
                ):
                    times = timed(clip_work(model, frames, precision, device, plain), device)
                    yield row(mode, "torch", precision, times, judged if mode == "clip" else 1)
            backend = TorchBackend(StreamStep(model.trained), precision, device=device)
            yield row("stream", "torch", precision, timed(stream_work(backend), device), 1)
    if "compiled" in options.runtimes:
        backend = TorchBackend(StreamStep(model.trained), precisions[-1], compiled=True, device=device)
        yield row("stream", "torch, compiled", precisions[-1], timed(stream_work(backend), device), 1)
    if device.type == "cpu":
        with tempfile.TemporaryDirectory() as scratch:
            yield from exported_rows(model, options, Path(scratch), precisions)


def exported_rows(model: STMem, options: argparse.Namespace, scratch: Path, precisions: list[str]) -> Iterator[Row]:
    """Time the exported graphs; int8 is calibrated on noise here, which is enough for its speed."""
    runtimes = [name for name in ("onnxruntime", "openvino") if name in options.runtimes]
    if not runtimes:
        return
    cpu, window, judged = torch.device("cpu"), model.model.window + 1, CLIP - model.model.window
    files = {"stream": export_step(model.trained, scratch / "stream.onnx")}
    lengths = {"window": window, "clip": CLIP}
    for mode, length in lengths.items():
        files[mode] = export_clips(model.trained, scratch / f"{mode}.onnx", length)
    clips = {mode: np.random.default_rng(0).random((1, n, 3, *options.size), np.float32) for mode, n in lengths.items()}
    if "onnxruntime" in runtimes:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = torch.get_num_threads()
        for mode, clip in clips.items():
            session = onnxruntime.InferenceSession(str(files[mode]), settings, providers=["CPUExecutionProvider"])
            times = timed(lambda session=session, clip=clip: session.run(None, {"input": clip}), cpu)
            yield row(mode, "onnxruntime", "float32", times, judged if mode == "clip" else 1)
        yield row("stream", "onnxruntime", "float32", timed(stream_work(open_backend(files["stream"])), cpu), 1)
    if "openvino" not in runtimes:
        return
    import nncf

    nncf.set_log_level("ERROR")
    noise = {mode: [{"input": clip}] for mode, clip in clips.items()}
    frame = np.random.default_rng(0).random((1, 3, *options.size), np.float32)
    noise["stream"] = [{"frames": frame} | empty_state(open_backend(files["stream"]), 1)]
    for precision in [*precisions, "int8"]:
        for mode in ("window", "clip", "stream"):
            graph = files[mode].with_suffix(".xml")
            compression = "int8_ptq" if precision == "int8" else None
            to_openvino(files[mode], graph, compression, noise[mode])
            held = precisions[-1] if precision == "int8" else precision
            if mode == "stream":
                yield row(mode, "openvino", precision, timed(stream_work(OpenVinoBackend(graph, held)), cpu), 1)
                continue
            core = openvino_core()
            read = core.read_model(str(graph))
            read.reshape(clips[mode].shape)
            hint = {"INFERENCE_PRECISION_HINT": {"float32": "f32"}.get(held, held), "PERFORMANCE_HINT": "LATENCY"}
            hint["INFERENCE_NUM_THREADS"] = str(torch.get_num_threads())
            request = core.compile_model(read, "CPU", hint).create_infer_request()
            times = timed(lambda request=request, clip=clips[mode]: request.infer([clip], share_inputs=True), cpu)
            yield row(mode, "openvino", precision, times, judged if mode == "clip" else 1)


def row(mode: str, runtime: str, precision: str, times: Times, judged: int) -> Row:
    """Turn times of a call that judges so many frames into figures."""
    return {
        "mode": mode,
        "runtime": runtime,
        "precision": precision,
        "fps": judged / times.median,
        "median_ms": 1e3 * times.median,
        "p95_ms": 1e3 * times.p95,
    }


def end_to_end(options: argparse.Namespace, device: torch.device) -> Iterator[Row]:
    """Decode a video file, resize, judge: frames per second of the whole, in every mode and runtime."""
    with tempfile.TemporaryDirectory() as scratch:
        path = options.video
        if path is None:
            write_scene(Path(scratch) / "scene", num_training=1, num_testing=1, num_frames=150, as_videos=True)
            path = find_videos(Path(scratch) / "scene" / "training")[0]
        runtimes = [name for name in ("torch", "onnxruntime", "openvino") if name in options.runtimes]
        runtimes = runtimes if device.type == "cpu" else ["torch"]
        model = make_model(options)
        for mode, length in (("window", model.model.window + 1), ("clip", CLIP)):
            file = (
                export_clips(model.trained, Path(scratch) / f"{mode}.onnx", length) if runtimes != ["torch"] else None
            )
            for runtime in runtimes:
                judge = clip_judge(model, file, runtime, device)
                best = min(watched_clips(judge, path, length, model) for _ in range(3))
                yield {"file": path.name, "mode": mode, "runtime": runtime, "scored": "both errors", "fps": 1 / best}
        for scored, changes in (("both errors", {}), ("the default score", {"score_error": "temporal"})):
            for runtime in runtimes:
                more = {"device": device} if runtime == "torch" else {}
                stream = FrameStream(make_model(options, **changes), runtime, **more)
                best = min(watched(stream, path) for _ in range(3))
                yield {"file": path.name, "mode": "stream", "runtime": runtime, "scored": scored, "fps": 1 / best}


def clip_judge(model: STMem, file: Path | None, runtime: str, device: torch.device) -> Callable[[np.ndarray], object]:
    """Return what judges a clip of bytes: the module itself, or its exported graph in float32."""
    if runtime == "torch":
        module = copy.deepcopy(model).to(device)
        return torch.no_grad()(lambda clip: module(torch.from_numpy(clip).to(device).float() / 255).pred_score.cpu())
    if runtime == "onnxruntime":
        return ClipPredictor(file).predict
    return ClipPredictor(to_openvino(file, file.with_suffix(".xml"), None, ())).predict


def watched_clips(judge: Callable[[np.ndarray], object], path: Path, length: int, model: STMem) -> float:
    """Seconds per judged frame from file to verdict, clip by clip; the first two clips warm up."""
    held: list[np.ndarray] = []
    clips, begin = 0, 0.0
    for frame in read_once(path, model.hparams["image_size"], "keep").frames:
        held.append(frame)
        if len(held) == length:
            judge(np.stack(held)[None])
            held = held[length - model.model.window :]
            clips += 1
            if clips == 2:
                begin = time.perf_counter()
    return (time.perf_counter() - begin) / ((clips - 2) * (length - model.model.window))


def watched(stream: FrameStream, path: Path) -> float:
    """Seconds per frame from file to verdict; the stream is warm."""
    stream.reset()
    count, begin = 0, 0.0
    capture = cv2.VideoCapture(str(path))
    while (read := capture.read())[0]:
        stream.push(read[1])
        count += 1
        if count == 10:
            begin = time.perf_counter()
    capture.release()
    return (time.perf_counter() - begin) / (count - 10)


def training_rows(model: STMem, options: argparse.Namespace, device: torch.device) -> Iterator[Row]:
    """Time a training step in window and clip mode: as many supervised frames in each."""
    judged = CLIP - model.model.window
    for mode, number, frames, plain in (
        ("plain window", judged, model.model.window + 1, True),
        ("window", judged, model.model.window + 1, False),
        ("clip", 1, CLIP, False),
    ):
        network = copy.deepcopy(model.model).to(device).train()
        if plain:
            for stream in (network.spatial, network.temporal):
                stream.encoder = PlainEncoder(stream.encoder)
        moved = [parameter for parameter in network.parameters() if parameter.requires_grad]
        optimizer = torch.optim.Adam(moved, lr=1e-4, fused=True)
        clips = torch.rand(number, frames, model.model.channels, *options.size, device=device) * 2 - 1

        def step(network: Any = network, optimizer: Any = optimizer, clips: Tensor = clips) -> None:
            expected = network.expect(clips)
            spatial, *_ = stream_loss(expected.spatial, clips[:, network.window - 1 :], 0.1)
            changes = (clips[:, 1:] - clips[:, :-1])[:, network.window - 1 :]
            temporal, *_ = stream_loss(expected.temporal, changes, 0.1)
            optimizer.zero_grad()
            (spatial + temporal).backward()
            optimizer.step()

        seconds = timed(step, device, budget=6, warm_up=2).median
        found = {"mode": mode, "ms_per_supervised_frame": 1e3 * seconds / judged, "clips_per_s": number / seconds}
        yield found | {"share_in_convolutions": convolution_share(step)}


def convolution_share(work: Callable[[], object]) -> float:
    """Share of the time of all operators that convolutions take, forwards and backwards."""
    with profile(
        activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    ) as ran:
        work()
    kind = "self_device_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    times = {event.key: getattr(event, kind) for event in ran.key_averages()}
    convolutions = sum(value for name, value in times.items() if "conv" in name.lower() or "xmma" in name.lower())
    return convolutions / sum(times.values())


def memory_share(model: STMem, precision: str, device: torch.device) -> float:
    """Share of a forward pass in clip mode that reading the memories takes."""
    spent, begun = 0.0, 0.0

    def enter(*_: object) -> None:
        nonlocal begun
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        begun = time.perf_counter()

    def leave(*_: object) -> None:
        nonlocal spent
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        spent += time.perf_counter() - begun

    network = copy.deepcopy(model.model).to(device)
    network.precision = precision
    for memory in network.modules():
        if isinstance(memory, PrototypeMemory):
            memory.register_forward_pre_hook(enter)
            memory.register_forward_hook(leave)
    clip = torch.rand(1, CLIP, model.model.channels, *model.hparams["image_size"], device=device) * 2 - 1
    with torch.no_grad():
        times = timed(lambda: network.expect(clip), device)
    return spent / (sum(times.seconds) * (len(times.seconds) + 3) / len(times.seconds))


def endurance(frames: int) -> Row:
    """Push small frames through a stream of a small network, and compare memory after 1,000 and after all."""
    stream = FrameStream(STMem(image_size=(32, 32), width=4).eval(), "torch")
    frame = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    early = 0
    begin = time.perf_counter()
    for number in range(frames):
        stream.push(frame)
        if number == 999:
            early = resident()
    return {"frames": frames, "rss_growth": resident() / early - 1, "seconds": time.perf_counter() - begin}


def resident() -> int:
    """Bytes of this process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def floor_rows(model: STMem, device: torch.device) -> tuple[Row, dict[str, float]]:
    """Return the machine's rates, and the least seconds per frame of a stream by precision."""
    backend = TorchBackend(StreamStep(model.trained), "float32", device=device)
    work = stream_work(backend)
    asked = operations(work)
    rates: Row = {"operations_per_frame": asked, "copy_bytes_per_s": copy_rate(device)}
    least = {}
    for precision, dtype, size in (("float32", torch.float32, 4), ("bf16", torch.bfloat16, 2)):
        rate = matrix_rate(device, dtype)
        moved = conv_bytes(backend._step, work, size)  # noqa: SLF001
        rates |= {f"operations_per_s_{precision}": rate, f"bytes_per_frame_{precision}": moved}
        least[precision] = max(asked / rate, moved / rates["copy_bytes_per_s"])
    return rates, least


def draw(rows: list[Row], least: dict[str, float], path: Path) -> None:
    """Bars of frames per second, and the floor of each precision as a line."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    shown = sorted(rows, key=lambda one: one["fps"])
    colours = {"plain window": "#bbbbbb", "window": "#8da0cb", "clip": "#66c2a5", "stream": "#fc8d62"}
    figure, axes = plt.subplots(figsize=(9, 0.32 * len(shown) + 1.4), layout="constrained")
    names = [f"{one['runtime']}, {one['precision']}, {one['mode']}" for one in shown]
    bars = axes.barh(names, [one["fps"] for one in shown], color=[colours[one["mode"]] for one in shown])
    axes.bar_label(bars, fmt="%.1f", padding=3)
    for (precision, seconds), style in zip(least.items(), ("--", ":"), strict=True):
        axes.axvline(
            1 / seconds, color="black", linestyle=style, label=f"floor of a stream, {precision}: {1 / seconds:.0f}"
        )
    axes.set_xlabel("frames per second, network only, one camera")
    axes.legend(loc="lower right")
    axes.margins(x=0.08)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="file for the end-to-end figures; a drawn one by default")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 256))
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--stem", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--runtimes", nargs="*", default=["torch", "onnxruntime", "openvino"], help="also: compiled")
    parser.add_argument("--bf16", action="store_true", help="measure bf16 also where the CPU has no units for it")
    parser.add_argument("--training", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--endurance", type=int, default=0, help="frames to push through a small stream")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--chart", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    model = make_model(options)
    best = "bf16" if has_bfloat16_units(device) else "float32"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()
    about = {"device": name, "threads": options.threads, "torch": torch.__version__, "size": list(options.size)}
    about |= {"width": options.width, "stem": options.stem, "parameters": sum(p.numel() for p in model.parameters())}
    print(about)
    rates, least = floor_rows(model, device)
    print({name: f"{value:.3g}" for name, value in rates.items()})
    rows = []
    for one in network_rows(model, options, device):
        if one["mode"] == "stream" and one["precision"] in least:
            one["over_floor"] = one["median_ms"] / 1e3 / least[one["precision"]]
        rows.append(one)
        print(
            " ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{value:<16}" for key, value in one.items())
        )
    results = {"about": about, "rates": rates, "floor_s": least, "network": rows}
    results["memory_share_of_forward"] = memory_share(model, best, device)
    print("memories' share of a forward pass:", round(results["memory_share_of_forward"], 3))
    results["end_to_end"] = printed(end_to_end(options, device))
    if options.training:
        results["training"] = printed(training_rows(model, options, device))
    results["peak_memory_gib"] = (
        torch.cuda.max_memory_allocated(device) / 2**30
        if device.type == "cuda"
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    )
    if options.endurance:
        results["endurance"] = printed([endurance(options.endurance)])[0]
    print("peak memory of the run, GiB:", round(results["peak_memory_gib"], 2))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))
    if options.chart:
        draw(rows, least, options.chart)


def printed(rows: Any) -> list[Row]:
    """Print rows as they come."""
    kept = []
    for one in rows:
        print(one)
        kept.append(one)
    return kept


def cpu_name() -> str:
    """Model name of the CPU as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
