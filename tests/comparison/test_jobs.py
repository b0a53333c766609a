"""``anomalib benchmark`` as a user types it, on a small scene."""

import json
import socket
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from anomalib.cli.cli import AnomalibCLI
from anomalib.pipelines import Benchmark

from anomalib_stmem.comparison.jobs import VideoBenchmarkJob, compare_models, markdown

MODELS = [
    {"class_path": "FrameDifference", "init_args": {"image_size": [16, 16]}},
    {
        "class_path": "STMem",
        "init_args": {"image_size": [16, 16], "width": 2, "memory_items": 3},
        "trainer": {"max_epochs": 1},
    },
    {
        "class_path": "Padim",
        "init_args": {"backbone": "resnet18", "layers": ["layer1"], "pre_trained": False, "n_features": 10},
    },
    {"class_path": "Fuvas"},  # wants weights from the internet
    {"class_path": "NoSuchModel"},
]


@pytest.fixture(scope="module")
def folder(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("benchmark")
    data = {"class_path": "VideoFolder", "init_args": {"root": str(scene), "num_workers": 0, "eval_batch_size": 8}}
    config = {"accelerator": "cpu", "benchmark": {"seed": 0, "model": {"grid": MODELS}, "data": data}}
    (root / "config.yaml").write_text(yaml.safe_dump(config))

    def offline(*_: object, **__: object) -> None:
        message = "no network in tests"
        raise OSError(message)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(socket, "getaddrinfo", offline)
        AnomalibCLI(["benchmark", "--config", "config.yaml"])
    (results,) = (root / "runs" / "benchmark").iterdir()
    return results


def test_every_model_has_its_row_and_failures_cost_only_their_own(folder: Path) -> None:
    table = pd.read_csv(folder / "results.csv").set_index("model")
    assert list(table.index) == [model["class_path"] for model in MODELS]
    measured = table.loc[["FrameDifference", "STMem", "Padim"]]
    assert measured.skipped.isna().all()
    assert measured.image_AUROC.between(0, 1).all()
    assert measured.pixel_AUPRO.between(0, 1).all()
    assert table.loc["Fuvas"].isna().image_AUROC
    assert isinstance(table.loc["Fuvas"].skipped, str)
    assert "NoSuchModel" in table.loc["NoSuchModel"].skipped or "Error" in table.loc["NoSuchModel"].skipped


def test_all_are_judged_on_the_same_frames(folder: Path) -> None:
    table = pd.read_csv(folder / "results.csv").dropna(subset="image_AUROC")
    assert set(table.frames_judged) == {2 * 19}
    assert set(table.frames_left_out) == {2 * 5}
    assert set(table.label_set) == {"frame labels of frame_labels.npy"}


def test_rows_are_kept_as_they_come(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "jobs.jsonl").read_text().splitlines()]
    assert [row["model"] for row in rows] == [model["class_path"] for model in MODELS]
    assert rows[1]["config"]["model"]["init_args"]["width"] == 2
    (checkpoint,) = {path.resolve() for path in folder.glob("01_STMem/**/model.ckpt")}
    assert torch.load(checkpoint, weights_only=True)["hyper_parameters"]["image_size"] == (16, 16)


def test_table_shows_percent_where_it_is_meant(folder: Path) -> None:
    page = (folder / "results.md").read_text()
    assert page.startswith("| model | image_AUROC | per_video_VideoAUROC | macro_VideoAUROC |")
    row = {"model": "M", "image_AUROC": 0.5, "fit_seconds": 12.34, "frames_judged": 38.0, "skipped": "a | b"}
    table = VideoBenchmarkJob.collect([row | {"folder": "x"}])
    assert markdown(table).splitlines()[-1] == "| M | 50.0 | 12.3 | 38 | a / b |"


def test_scores_stand_under_every_normalisation_beside_the_controls(folder: Path) -> None:
    table = compare_models(folder, "none")
    assert [name for name in table.index if not name.startswith("control")] == [
        "00_FrameDifference",
        "01_STMem",
        "02_Padim",
    ]
    for how in ("none", "per_video"):
        assert table.loc["00_FrameDifference", how] == pytest.approx(
            table.loc["control: frame difference", how], abs=0.01
        )
    assert table.loc["control: constant", "calibrated"] == 50
    measured = pd.read_csv(folder / "results.csv").set_index("model")
    assert table.loc["02_Padim", "calibrated"] == pytest.approx(100 * measured.loc["Padim", "image_AUROC"], abs=0.01)
    assert "## Frame AUROC in %, smoothing: causal" in (folder / "results.md").read_text()


def scores_of(folder: Path, job: str, labels: list[int], video: str = "a") -> None:
    rows = {"video": video, "frame": range(len(labels)), "label": labels, "score": [0.1, 0.2, 0.3, 0.4][: len(labels)]}
    (folder / job).mkdir(parents=True)
    pd.DataFrame(rows).to_csv(folder / job / "scores.csv", index=False)


def test_every_job_is_measured_by_its_own_labels(tmp_path: Path) -> None:
    """Avenue has two label sets: with those of the first job, the second would read 0."""
    scores_of(tmp_path, "00_pixels", [0, 0, 1, 1])
    scores_of(tmp_path, "01_frames", [1, 1, 0, 0])
    table = compare_models(tmp_path, "none")
    assert table.none.tolist() == [100, 0]


@pytest.mark.parametrize(("labels", "video"), [([0, 0, 1], "a"), ([0, 0, 1, 1], "b")], ids=["fewer", "others"])
def test_different_frames_are_not_compared(tmp_path: Path, labels: list[int], video: str) -> None:
    scores_of(tmp_path, "00_one", [0, 0, 1, 1])
    scores_of(tmp_path, "01_other", labels, video)
    with pytest.raises(ValueError, match=rf"00_one and 01_other judged different frames \(4 and {len(labels)}\)"):
        compare_models(tmp_path, "none")
    VideoBenchmarkJob.save(VideoBenchmarkJob.collect([{"model": "M", "image_AUROC": 0.5, "folder": str(tmp_path)}]))
    page = (tmp_path / "results.md").read_text()
    assert "| M | 50.0 |" in page  # what was measured stays
    assert "judged different frames" in page


def test_wrong_folder_is_said_once_per_model_and_leaves_no_empty_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = {"class_path": "VideoFolder", "init_args": {"root": "nowhere"}}
    job = VideoBenchmarkJob("cpu", {"model": MODELS[0], "data": data, "seed": 0}, tmp_path / "runs", 0)
    VideoBenchmarkJob.save(VideoBenchmarkJob.collect([job.run()]))
    page = (tmp_path / "runs" / "results.md").read_text()
    assert "No folder with normal videos" in page or "No folder with videos" in page
    assert "##" not in page


def test_other_data_is_left_to_anomalib(monkeypatch: pytest.MonkeyPatch) -> None:
    from anomalib_stmem import VideoBenchmark

    asked = []
    monkeypatch.setattr(Benchmark, "_setup_runners", staticmethod(lambda args: asked.append(args) or []))
    args = {"accelerator": "cpu", "benchmark": {"data": {"class_path": "MVTecAD"}}}
    assert VideoBenchmark._setup_runners(args) == []
    assert asked == [args]
