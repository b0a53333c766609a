"""What each runtime and precision does to the scores of a trained model: Ped2, or any labelled folder, by streams.

    python benchmarks/runtimes.py --ckpt model.ckpt --root PATH/ped2 [--json FILE]

Prints the frame AUROC on one scale ("live") and its mean over videos, the largest and mean difference of a score to
float32 in torch, how many labels changed, and frames per second from image files to verdict.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anomalib_stmem import FrameStream, TrainedModel, VideoFolder
from anomalib_stmem.data.labels import LabelledVideo
from anomalib_stmem.evaluation.frame_metrics import auroc
from anomalib_stmem.runtime.backend import looks_beside
from anomalib_stmem.runtime.export import export_step, to_openvino
from anomalib_stmem.shell.int8_video import calibration_looks, calibration_steps

Judged = dict[str, np.ndarray]


def judge(stream: FrameStream, videos: list[LabelledVideo]) -> tuple[Judged, float]:
    """Push every frame of every video, and return what came back and frames per second."""
    rows: list[tuple[int, float, bool, bool]] = []
    count, begin = 0, time.perf_counter()
    for number, video in enumerate(videos):
        stream.reset()
        for index, frame in enumerate(video.video.frames()):
            verdict = stream.push(torch.from_numpy(frame))
            count += 1
            if verdict is not None:
                rows.append((number, verdict.score, bool(verdict.is_anomalous), bool(video.label(index))))
    seconds = time.perf_counter() - begin
    columns = np.array(rows, float).T
    return dict(zip(("video", "score", "alarm", "label"), columns, strict=True)), count / seconds


def compare(judged: Judged, reference: Judged, fps: float) -> dict[str, Any]:
    """Measure one run, and how far it is from the reference."""
    labels, difference = judged["label"] > 0, np.abs(judged["score"] - reference["score"])
    own = [judged["video"] == video for video in np.unique(judged["video"])]
    each = [auroc(judged["score"][rows], labels[rows]) for rows in own]
    return {
        "live_auroc": auroc(judged["score"], labels),
        "macro_auroc": float(np.nanmean(each)),
        "largest_difference": float(difference.max()),
        "mean_difference": float(difference.mean()),
        "labels_changed": int((judged["alarm"] != reference["alarm"]).sum()),
        "frames": len(labels),
        "fps": fps,
    }


def convert(step: Path, model: TrainedModel, root: Path | None = None) -> Path:
    """Convert an exported step, and its graph of looks where there is one, to OpenVINO; to int8 from normal video."""
    graph = step.with_name(f"{step.stem}_{'float' if root is None else 'int8'}.xml")
    jobs = ((step, graph, calibration_steps), (looks_beside(step), looks_beside(graph), calibration_looks))
    for source, target, normal_video in jobs:
        if source.is_file():
            inputs = () if root is None else normal_video(model, VideoFolder(root, num_workers=0))
            to_openvino(source, target, None if root is None else "int8_ptq", inputs)
    return graph


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt", type=Path, required=True, help="checkpoint of a trained model")
    parser.add_argument("--root", type=Path, required=True, help="folder that VideoFolder reads, with labels")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model = TrainedModel.load(options.ckpt)
    data = VideoFolder(options.root, num_workers=0, image_size=model.image_size)
    data.setup("test")
    videos = data.test_data.videos
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        step = export_step(model, Path(scratch) / "stream.onnx")
        graph, int8 = convert(step, model), convert(step, model, options.root)
        runs = {
            "torch float32": (model, "float32"),
            "torch bf16": (model, "bf16"),
            "onnxruntime float32": (step, "float32"),
            "openvino float32": (graph, "float32"),
            "openvino bf16": (graph, "bf16"),
            "openvino int8": (int8, "auto"),
        }
        reference: Judged | None = None
        for name, (source, precision) in runs.items():
            judged, fps = judge(FrameStream(source, precision=precision), videos)
            reference = reference or judged
            results[name] = compare(judged, reference, fps)
            print(name, {key: f"{value:.4g}" for key, value in results[name].items()}, flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
