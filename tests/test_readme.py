"""Every ``anomalib`` command of the README runs as it stands, on small data. (.ci/run runs the two marked blocks.)"""

import inspect
import re
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from anomalib.cli.cli import AnomalibCLI
from commands import learn_little
from makers import write_long
from trained import calibrated

from anomalib_stmem import cli

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
    "--model.train_crop",
    "null",
    "--trainer.accelerator",
    "cpu",
]


def commands() -> list[str]:
    """Complete commands in shell blocks; ``...`` in running text marks an abbreviation."""
    blocks = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith(("anomalib ", "stmem "))]
    return [line for line in lines if line != "stmem demo"]  # .ci/run


def test_readme_commands_run_in_order(scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(scene, tmp_path / "datasets" / "ped2")
    for path in [*(tmp_path / "datasets").rglob("*.jpg"), *(tmp_path / "datasets").rglob("*.png")]:
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), image[: round(image.shape[1] / 1.5)])  # the proportion of Ped2
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    shutil.copytree(ROOT / "weights", tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    assert len(commands()) >= 8
    # A stranger's folder: plain video files, and one line that says where the event is.
    for name in ("gate", "monday", "my_videos/test/friday"):
        write_long(tmp_path / f"{name}.mp4", 1.4)
    for name in ("1", "2"):
        write_long(tmp_path / "my_videos" / "normal" / f"{name}.mp4", 1.4)
    (tmp_path / "my_videos" / "labels.csv").write_text("video,start,end\nfriday,9,11\n")
    for command in commands():
        arguments = shlex.split(command)[1:]
        if command.startswith("stmem learn "):
            assert learn_little(arguments, monkeypatch, image_size=(16, 16), train_crop=(16, 16), appearance=False) == 0
            continue
        if command.startswith("stmem "):
            assert cli.main(arguments) == 0, command
            continue
        if arguments[0] == "benchmark":
            shrink(tmp_path / arguments[-1])
            AnomalibCLI(arguments)
            continue
        if "weights/ped2.ckpt" in arguments:  # as it is: the network is part of what is shipped
            AnomalibCLI([*arguments, "--trainer.accelerator", "cpu"])
            continue
        small = [*TINY, "--data.num_workers", "0"]
        if arguments[0] in {"train", "fit"}:
            small += ["--trainer.max_epochs", "1", "--trainer.check_val_every_n_epoch", "1"]
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
        model["init_args"] |= {"image_size": [16, 32]}
        if "trainer" in model:
            model["trainer"] = {"max_epochs": 1}
    config.write_text(yaml.safe_dump(content))


def test_options_named_in_the_readme_exist() -> None:
    from anomalib_stmem import AvenueClips, ShanghaiTechClips, STMem, UCSDClips, VideoArchive, VideoFolder
    from anomalib_stmem.data.datamodule import ClipData

    owners = {
        "model": [STMem],
        "data": [ClipData, VideoFolder, VideoArchive, UCSDClips, AvenueClips, ShanghaiTechClips],
    }
    for kind, classes in owners.items():
        known = {name for owner in classes for name in inspect.signature(owner.__init__).parameters}
        for name in re.findall(rf"--{kind}\.(\w+)", README):
            assert name == "help" or name in known, name


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


@pytest.mark.slow
def test_python_of_the_deployment_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its blocks as they stand, on a small model, a short video, and a graph exported as the page says."""
    from lightning.pytorch import Trainer

    from anomalib_stmem.runtime.export import export_clips, to_openvino

    pytest.importorskip("openvino")
    monkeypatch.chdir(tmp_path)
    model = calibrated(image_size=(256, 256), stem=4, width=1, memory="none")
    model.post_processor._image_threshold.fill_(-9.0)  # everything is an alarm
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, barebones=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint("model.ckpt")
    writer = cv2.VideoWriter("gate.avi", cv2.VideoWriter.fourcc(*"MJPG"), 10, (48, 32))
    for frame in np.random.default_rng(0).integers(0, 256, (8, 32, 48, 3), np.uint8):
        writer.write(frame)
    writer.release()
    folder = Path("exported/weights/openvino")
    folder.mkdir(parents=True)
    to_openvino(export_clips(model.trained, Path("model.onnx")), folder / "model.xml", None, ())
    page = (ROOT / "docs" / "deployment.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page + README, re.DOTALL)
    names: dict = {}
    for block in blocks:
        kept = block.replace("    verdict = stream.push(frame)", "    shown = frame\n    verdict = stream.push(frame)")
        exec(kept, names)  # noqa: S102
        names["frame"] = names["shown"]
    printed = capsys.readouterr().out
    assert len(blocks) == 4
    assert printed.count("\n") >= 4  # three alarms, and the predictor's score
    assert torch.is_tensor(names["predictor"].predict(names["clips"]).pred_score)


def test_options_named_in_the_deployment_page_exist() -> None:
    from lightning.pytorch import Trainer

    from anomalib_stmem import STMem, VideoArchive, VideoFolder

    page = (ROOT / "docs" / "deployment.md").read_text()
    owners = {"model": [STMem], "data": [VideoFolder, VideoArchive], "trainer": [Trainer]}
    for kind, classes in owners.items():
        known = {name for owner in classes for name in inspect.signature(owner.__init__).parameters}
        for name in re.findall(rf"--{kind}\.(\w+)", page):
            assert name in known, name
