"""Whole files of every kind that the project reads: small, and two of each kind, each in a folder of its own."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from faults.results_of import watched_results
from films import OneWay, pictures, write_film
from makers import square_masks, write_mask_images, write_mat
from trained import calibrated

COUNT = 30  # frames of a video
PICTURES, SIZE = 12, (16, 24)  # of a folder of pictures, and of masks
FILMS: dict[str, tuple[str, str, str, str | None, dict[str, str]]] = {  # suffix, codec, pixels, container, its options
    "H.264 in MP4": (".mp4", "libx264", "yuv420p", None, {}),
    "index first": (".mp4", "libx264", "yuv420p", None, {"movflags": "faststart"}),
    "fragmented MP4": (".mp4", "libx264", "yuv420p", None, {"movflags": "frag_keyframe+empty_moov"}),
    "H.265 in MOV": (".mov", "libx265", "yuv420p", None, {}),
    "MKV": (".mkv", "libx264", "yuv420p", None, {}),
    "WebM": (".webm", "libvpx", "yuv420p", None, {}),
    "MPEG-TS": (".ts", "libx264", "yuv420p", None, {}),
    "motion JPEG in AVI": (".avi", "mjpeg", "yuvj420p", None, {}),
    "MPEG-2": (".mpg", "mpeg2video", "yuv420p", None, {}),
    "WMV": (".wmv", "wmv2", "yuv420p", None, {}),
    "FLV": (".flv", "flv", "yuv420p", None, {}),
    "raw H.264": (".h264", "libx264", "yuv420p", "h264", {}),
    "raw motion JPEG": (".mjpeg", "mjpeg", "yuvj420p", "mjpeg", {}),
    "GIF": (".gif", "gif", "rgb8", None, {}),
    "FFV1": (".mkv", "ffv1", "yuv420p", None, {}),
}
PIPED = "piped MKV"  # which cannot note its length
CONFIGS = Path(__file__).parents[2] / "configs"
IMAGES = (".jpg", ".png", ".bmp", ".tif", ".webp", ".pgm")


def write_originals(root: Path, kinds: Sequence[str] = ()) -> dict[str, str]:
    """Write ``root/KIND/a`` and ``root/KIND/b`` for each kind, or those whose names begin as one of ``kinds``.

    Returns:
        For each kind the name of what tries it, in ``trials.py``.
    """
    makers: dict[str, tuple[str, Callable[[Path, int], None]]] = {
        **{f"video: {name}": ("video", _film(name)) for name in FILMS},
        f"video: {PIPED}": ("video", _piped),
        **{f"pictures: {suffix}": ("pictures", _images(suffix)) for suffix in IMAGES},
        "labels: CSV": ("intervals", _csv),
        "labels: .npy": ("labels", _npy),
        "masks: .npy": ("masks", _mask_array),
        "masks: .mat": ("masks", _mask_mat),
        "masks: pictures": ("masks", _mask_pictures),
        "config": ("config", _config),
        "results: of a watch": ("results", _results),
        "results: broken off": ("results", _unfinished),
        "model: checkpoint": ("model", _checkpoint),
        "model: ONNX": ("model", _onnx),
        "model: OpenVINO": ("model", _openvino),
    }
    chosen = {kind: maker for kind, maker in makers.items() if not kinds or kind.startswith(tuple(kinds))}
    for kind, (_, make) in chosen.items():
        for number, name in enumerate("ab"):
            folder = root / safe(kind) / name
            folder.mkdir(parents=True)
            make(folder, number)
    return {kind: trial for kind, (trial, _) in chosen.items()}


def safe(kind: str) -> str:
    """Name the folder of a kind."""
    return "".join(letter if letter.isalnum() else "_" for letter in kind)


def _film(name: str) -> Callable[[Path, int], None]:
    suffix, codec, pixels, container, options = FILMS[name]

    def make(folder: Path, number: int) -> None:
        frames = pictures(COUNT + 5 * number)[5 * number :]
        gop = {"g": "10"} if codec in {"libx264", "libvpx", "mpeg2video", "wmv2", "flv"} else {}
        rate = 25 if codec == "mpeg2video" else 10
        write_film(
            folder / f"gate{suffix}", frames, codec, pixels, container, rate, options=gop, container_options=options
        )

    return make


def _piped(folder: Path, number: int) -> None:
    target = OneWay()
    write_film(target, pictures(COUNT + 5 * number)[5 * number :], container="matroska", options={"g": "10"})
    (folder / "gate.mkv").write_bytes(target.written)


def _images(suffix: str) -> Callable[[Path, int], None]:
    def make(folder: Path, number: int) -> None:
        (folder / "gate").mkdir()
        for place, image in enumerate(pictures(PICTURES + number)[number:]):
            cv2.imwrite(str(folder / "gate" / f"{place:03d}{suffix}"), image[..., 0] if suffix == ".pgm" else image)

    return make


def _csv(folder: Path, number: int) -> None:
    rows = [f"gate,{first},{first + 2}" for first in range(number, PICTURES - 3, 4)]
    (folder / "labels.csv").write_text("\n".join(["video,start,end", *rows, "yard,0,3", ""]))


def _npy(folder: Path, number: int) -> None:
    np.save(folder / "labels.npy", np.arange(PICTURES) % (3 + number) == 0)


def _mask_array(folder: Path, number: int) -> None:
    np.save(folder / "masks.npy", square_masks(PICTURES, [3, 4 + number], SIZE))


def _mask_mat(folder: Path, number: int) -> None:
    write_mat(folder / "masks.mat", square_masks(PICTURES, [3, 4 + number], SIZE))


def _mask_pictures(folder: Path, number: int) -> None:
    write_mask_images(folder / "masks", square_masks(PICTURES, [3, 4 + number], SIZE))


def _config(folder: Path, number: int) -> None:
    shutil.copy(CONFIGS / ("demo.yaml", "ped2.yaml")[number], folder / "config.yaml")


def _results(folder: Path, number: int) -> None:
    watched_results(folder, number)


def _unfinished(folder: Path, number: int) -> None:
    """As :func:`_results`; the trial makes it one that was broken off."""
    watched_results(folder, number)
    (folder / "unfinished").write_text("it was broken off")


def _checkpoint(folder: Path, number: int) -> None:
    from lightning.pytorch import Trainer

    model = calibrated(seed=number)
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(folder / "model.ckpt")


def _onnx(folder: Path, number: int) -> None:
    from anomalib_stmem.runtime.export import export_step

    export_step(calibrated(seed=number).trained, folder / "stream.onnx")


def _openvino(folder: Path, number: int) -> None:
    from anomalib_stmem.runtime.checksums import seal
    from anomalib_stmem.runtime.export import export_step, to_openvino

    step = export_step(calibrated(seed=number, appearance=False).trained, folder / "step.onnx")
    to_openvino(step, folder / "stream.xml", None, ())
    seal(folder / "stream.xml")
    step.unlink()
    step.with_name("step.onnx.sha256").unlink()
