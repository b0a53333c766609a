"""Every file in ``configs/`` parses through the real command, and the demo's says what the demo does."""

import inspect
from collections.abc import Iterable
from pathlib import Path

import anomalib.data
import anomalib.models
import pytest
import yaml
from anomalib.cli.cli import AnomalibCLI
from lightning.pytorch import Trainer

from anomalib_stmem import STMem, WalkwayDemo
from anomalib_stmem.data.datamodule import ClipData
from anomalib_stmem.shell.builtin_demo import OPTIONS

CONFIGS = Path(__file__).parents[1] / "configs"


def named(paths: Iterable[Path]) -> list:
    return [pytest.param(path, id=str(path.relative_to(CONFIGS))) for path in sorted(paths)]


@pytest.mark.parametrize("path", named(CONFIGS.glob("data/*.yaml")))
def test_data_config_builds_its_data(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cli = AnomalibCLI(["fit", "--model", "STMem", "--data", str(path), "--trainer.accelerator", "cpu"], run=False)
    assert isinstance(cli.datamodule, ClipData)
    assert str(cli.datamodule.root) in path.read_text()


@pytest.mark.parametrize("path", named(CONFIGS.glob("benchmark/*.yaml")))
def test_benchmark_config_names_what_exists(path: Path) -> None:
    config = yaml.safe_load(path.read_text())["benchmark"]
    assert issubclass(getattr(anomalib.data, config["data"]["class_path"]), ClipData)
    for entry in config["model"]["grid"]:
        owner = getattr(anomalib.models, entry["class_path"])
        assert set(entry.get("init_args", {})) <= set(inspect.signature(owner.__init__).parameters)
        assert set(entry.get("trainer", {})) <= set(inspect.signature(Trainer.__init__).parameters)


@pytest.mark.parametrize("path", named({*CONFIGS.glob("*.yaml"), *CONFIGS.glob("paper/*.yaml")}))
def test_config_builds_its_model_and_data(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["--model.width", "2", "--trainer.accelerator", "cpu"]
    cli = AnomalibCLI(["fit", "--config", str(path), *small], run=False)
    assert type(cli.model) is STMem
    assert cli.datamodule.clip_length_in_frames == cli.model.model.window + 1


def test_demo_config_is_what_runs_without_data() -> None:
    config = yaml.safe_load((CONFIGS / "demo.yaml").read_text())
    options = dict(OPTIONS)
    steps = options.pop("default_steps")
    written = {name: tuple(v) if isinstance(v, list) else v for name, v in config["model"]["init_args"].items()}
    assert written == options
    assert config["trainer"] == {"max_steps": steps}
    assert config["data"] == {"class_path": f"anomalib_stmem.{WalkwayDemo.__name__}"}


def test_paper_configs_hold_the_papers_values() -> None:
    for path in (CONFIGS / "paper").glob("*.yaml"):
        config = yaml.safe_load(path.read_text())
        model = config["model"]["init_args"]
        assert (model["memory_items"], model["window"], model["learning_rate"]) == (20, 5, 2e-5)
        assert (model["prediction_weight"], model["separation_weight"], model["spatial_weight"]) == (0.8, 0.1, 0.5)
        assert (model["train_crop"], model["score_area"], model["residual"]) == (None, "frame", False)
        data = config["data"]["init_args"]
        assert (data["train_batch_size"], data["train_clip_length"], data["frames_between_clips"]) == (8, 6, 1)


def test_every_option_is_documented() -> None:
    for name in inspect.signature(STMem.__init__).parameters:
        assert name == "self" or f"        {name}: " in inspect.getdoc(STMem).replace("    ", "        ")
