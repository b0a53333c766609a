"""The stock ``anomalib`` command, as a user types it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from anomalib.cli.cli import AnomalibCLI

TINY = [
    *("--model.image_size", "[16,16]", "--model.width", "2", "--model.memory_items", "3"),
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
]


def videos(scene: Path) -> list[str]:
    return ["--data", "VideoFolder", "--data.root", str(scene), "--data.num_workers", "0"]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results" / "STMem" / "VideoFolder"


def test_fit_validate_test_predict(scene: Path, results: Path) -> None:
    model = ["--model", "STMem", *TINY]
    AnomalibCLI(["fit", *model, *videos(scene), "--trainer.max_epochs", "1"])
    checkpoint = ["--ckpt_path", str(results / "v0" / "weights" / "lightning" / "model.ckpt")]
    AnomalibCLI(["validate", *model, *videos(scene), *checkpoint])
    AnomalibCLI(["test", *model, *videos(scene), *checkpoint])
    AnomalibCLI(["predict", *model, *videos(scene), *checkpoint])
    assert list(results.rglob("test*/scores.csv"))
    assert list(results.rglob("predict*/scores.csv"))


def test_saved_config_and_checkpoint_repeat_the_run(scene: Path, results: Path) -> None:
    AnomalibCLI(["train", "--model", "STMem", *TINY, *videos(scene), "--trainer.max_epochs", "1"])
    run = results / "v0"
    checkpoint = str(run / "weights" / "lightning" / "model.ckpt")
    AnomalibCLI(["test", "--config", str(run / "config.yaml"), "--ckpt_path", checkpoint])
    records = [path.read_text() for path in run.parent.rglob("test*/scores.csv")]
    assert len(records) >= 2
    assert len(set(records)) == 1


def test_installed_script_knows_the_model(scene: Path, tmp_path: Path) -> None:
    """The unmodified script of the environment, in a process of its own."""
    script = shutil.which("anomalib", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    command = [script, "train", "--model", "STMem", *TINY, *videos(scene), "--trainer.max_epochs", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "image_AUROC" in done.stdout
    assert "Frame AUROC" in done.stdout


def test_bad_video_is_named_before_training(scene: Path, results: Path) -> None:
    root = results.parents[2] / "copy"
    shutil.copytree(scene, root)
    (root / "training" / "frames" / "02" / "003.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"003\.jpg is empty \(0 bytes\)"):
        AnomalibCLI(["train", "--model", "STMem", *TINY, *videos(root), "--trainer.max_epochs", "1"])


def test_benchmark_runs_the_model_beside_others(scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "benchmark.yaml").write_text(
        f"""accelerator: [cpu]
benchmark:
  seed: 1
  model:
    class_path:
      grid: [STMem]
    init_args:
      image_size: [16, 16]
      width: 2
      memory_items: 3
      default_steps: 2
  data:
    class_path: VideoFolder
    init_args:
      root: {scene}
      num_workers: 0
"""
    )
    AnomalibCLI(["benchmark", "--config", "benchmark.yaml"])
    (table,) = (tmp_path / "runs").rglob("results.csv")
    assert "image_AUROC" in table.read_text()
