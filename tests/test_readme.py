"""Every ``anomalib`` command of the README runs as it stands, on small data. (.ci/run runs the two marked blocks.)"""

import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from anomalib.cli.cli import AnomalibCLI

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TINY = [
    "--model.image_size",
    "[16,16]",
    "--model.width",
    "2",
    "--model.stem",
    "1",
    "--model.memory_items",
    "3",
    "--trainer.accelerator",
    "cpu",
]


def commands() -> list[str]:
    """Complete commands in shell blocks; ``...`` in running text marks an abbreviation."""
    blocks = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("anomalib ")]
    return [line for line in lines if line != "anomalib train --model STMem"]  # the demo itself: .ci/run


def test_readme_commands_run_in_order(scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(scene / "training" / "frames", tmp_path / "my_videos" / "normal")
    shutil.copytree(scene / "testing" / "frames", tmp_path / "my_videos" / "new")
    shutil.copytree(scene / "testing" / "frames", tmp_path / "my_videos" / "test")
    shutil.copytree(scene, tmp_path / "datasets" / "ped2")
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    assert len(commands()) >= 4
    for command in commands():
        arguments = shlex.split(command)[1:]
        if arguments[0] == "benchmark":
            shrink(tmp_path / arguments[-1])
            AnomalibCLI(arguments)
            continue
        small = [*TINY, "--data.num_workers", "0"]
        if arguments[0] in {"train", "fit"}:
            small += ["--trainer.max_epochs", "1", "--trainer.check_val_every_n_epoch", "1"]
        if "my_videos" in command and arguments[0] == "train":  # unlabelled: training works, testing says to predict
            with pytest.raises(ValueError, match=r"anomalib predict"):
                AnomalibCLI([*arguments, *small])
            continue
        AnomalibCLI([*arguments, *small])
    assert list(tmp_path.rglob("predict/scores.csv"))
    assert list(tmp_path.rglob("test/scores.csv"))
    (table,) = tmp_path.rglob("runs/benchmark/*/results.csv")
    assert pd.read_csv(table).image_AUROC.notna().all()


def shrink(config: Path) -> None:
    """Leave the models that need no download, and one epoch of training."""
    content = yaml.safe_load(config.read_text())
    grid = content["benchmark"]["model"]["grid"]
    content["benchmark"]["model"]["grid"] = [m for m in grid if m["class_path"] in {"STMem", "FrameDifference"}]
    for model in content["benchmark"]["model"]["grid"]:
        model["init_args"] |= {"image_size": [16, 24]}
        if "trainer" in model:
            model["trainer"] = {"max_epochs": 1}
    config.write_text(yaml.safe_dump(content))


def test_options_named_in_the_readme_exist() -> None:
    import inspect

    from anomalib_stmem import AvenueClips, ShanghaiTechClips, STMem, UCSDClips, VideoFolder
    from anomalib_stmem.data.datamodule import ClipData

    owners = {"model": [STMem], "data": [ClipData, VideoFolder, UCSDClips, AvenueClips, ShanghaiTechClips]}
    for kind, classes in owners.items():
        known = {name for owner in classes for name in inspect.signature(owner.__init__).parameters}
        for name in re.findall(rf"--{kind}\.(\w+)", README):
            assert name == "help" or name in known, name


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target
