"""Every file in ``configs/`` parses through the real command, and the demo's says what the demo does."""

import inspect
from pathlib import Path

import pytest
import yaml
from anomalib.cli.cli import AnomalibCLI

from anomalib_stmem import STMem, WalkwayDemo, demo_run

CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONFIGS)))
def test_config_builds_its_model_and_data(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["--model.width", "2", "--trainer.accelerator", "cpu"]
    cli = AnomalibCLI(["fit", "--config", str(path), *small], run=False)
    assert type(cli.model) is STMem
    assert cli.datamodule.clip_length_in_frames == cli.model.model.window + 1


def test_demo_config_is_what_runs_without_data() -> None:
    config = yaml.safe_load((CONFIGS / "demo.yaml").read_text())
    options = dict(demo_run.OPTIONS)
    epochs = options.pop("default_epochs")
    written = {name: tuple(v) if isinstance(v, list) else v for name, v in config["model"]["init_args"].items()}
    assert written == options
    assert config["trainer"] == {"max_epochs": epochs, "check_val_every_n_epoch": epochs}
    assert config["data"] == {"class_path": f"anomalib_stmem.{WalkwayDemo.__name__}"}


def test_paper_configs_hold_the_papers_values() -> None:
    for path in (CONFIGS / "paper").glob("*.yaml"):
        config = yaml.safe_load(path.read_text())
        model = config["model"]["init_args"]
        assert (model["memory_items"], model["window"], model["learning_rate"]) == (20, 5, 2e-5)
        assert (model["prediction_weight"], model["separation_weight"], model["spatial_weight"]) == (0.8, 0.1, 0.5)
        assert config["data"]["init_args"]["train_batch_size"] == 8


def test_every_option_is_documented() -> None:
    for name in inspect.signature(STMem.__init__).parameters:
        assert name == "self" or f"        {name}: " in inspect.getdoc(STMem).replace("    ", "        ")
