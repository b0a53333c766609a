"""Several devices: replicas stay identical, and tests judge each frame once. Two CPU processes over gloo."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import replica
import torch
import torch.multiprocessing as mp
from commands import anomalib, flags
from conftest import TINY_DATA
from conftest import TINY_MODEL as WITHOUT_LOOKS

from anomalib_stmem import STMem, VideoFolder

TINY_MODEL = WITHOUT_LOOKS | {"appearance": True, "appearance_items": 10}  # every device fills the memory itself


def test_replicas_are_identical_after_training_on_uneven_shares(tmp_path: Path) -> None:
    clips = torch.rand(5, 7, 1, 16, 16) * 2 - 1
    mp.spawn(replica.train_model, (tmp_path, [clips[:2], clips[2:]]), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    for name, value in first.items():
        # Statistics of a replica's own features; SyncBatchNorm, which needs CUDA, would join them.
        if "running" not in name:
            torch.testing.assert_close(value, second[name], atol=0, rtol=0, msg=name)
    items = [name for name in first if name.endswith("items")]
    assert len(items) == 8
    fresh = replica._Training().network.state_dict()
    assert all(not torch.equal(first[name], fresh[name]) for name in items)


@pytest.fixture(scope="module")
def two_devices(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A training with its test on two devices, by the stock command."""
    folder = tmp_path_factory.mktemp("devices")
    data = flags("data", TINY_DATA | {"eval_batch_size": 1, "eval_clip_length": 9})
    common = [
        "--model",
        "STMem",
        *flags("model", TINY_MODEL),
        "--data",
        "VideoFolder",
        "--data.root",
        str(scene),
        *data,
    ]
    devices = ["--trainer.accelerator", "cpu", "--trainer.strategy", "ddp", "--trainer.devices", "2"]
    anomalib("train", *common, *devices, "--trainer.max_epochs", "1", folder=folder)
    return folder / "results" / "STMem" / "VideoFolder" / "v0", common


def test_two_devices_judge_each_frame_once_and_measure_what_one_does(
    two_devices: tuple[Path, list[str]], scene: Path, tmp_path: Path
) -> None:
    from anomalib.engine import Engine

    run, _ = two_devices
    together = pd.read_csv(run / "test" / "scores.csv")
    assert together.groupby("video").frame.apply(list).tolist() == [[*range(5, 24)]] * 2
    alone = Engine(default_root_dir=tmp_path, accelerator="cpu", enable_progress_bar=False)
    model = STMem(**TINY_MODEL)
    (metrics,) = alone.test(
        model, datamodule=VideoFolder(scene, **TINY_DATA), ckpt_path=run / "weights" / "lightning" / "model.ckpt"
    )
    (record,) = tmp_path.rglob("test/scores.csv")
    np.testing.assert_allclose(pd.read_csv(record).score, together.score, atol=1e-5)
    reported = json.loads((run / "test" / "report.json").read_text())["metrics"]
    assert reported == pytest.approx(metrics, abs=1e-5)
    assert [path.name for path in run.parent.iterdir() if not path.is_symlink()] == ["v0"]
    assert (run.parent / "latest").resolve() == run.resolve()
    assert {path.name for path in (run / "images").glob("*_highest.png")} == {"01_highest.png", "02_highest.png"}
