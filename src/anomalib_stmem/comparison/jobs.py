"""The jobs of the benchmark: fit and test one model after the other, on the same videos."""

import json
import logging
import time
from collections.abc import Generator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pandas as pd
from anomalib.data import get_datamodule
from anomalib.engine import Engine
from anomalib.models import get_model
from anomalib.pipelines.benchmark.generator import BenchmarkJobGenerator
from anomalib.pipelines.benchmark.job import BenchmarkJob
from anomalib.pipelines.components.utils import get_iterator_from_grid_dict
from anomalib.pipelines.types import PREV_STAGE_RESULT
from anomalib.post_processing import PostProcessor
from lightning import seed_everything
from rich.console import Console

from ..evaluation.controls import CONTROLS
from ..evaluation.evaluator import video_evaluator
from ..evaluation.event_tables import compare_events, curves_of
from ..evaluation.normalisation import SMOOTHINGS, Smoothing
from ..evaluation.tables import Scores, compare_scores, single
from ..results.files import write_text
from ..results.report_text import markdown_events, markdown_tables
from ..shell.post_processor import SquashingPostProcessor
from . import weights  # noqa: F401  # registers the backbone
from .score_record import ScoreRecord
from .single_frames import as_single_frames

if TYPE_CHECKING:
    from ..data.datamodule import ClipData

logger = logging.getLogger(__name__)

PERCENT = (
    "AUROC",
    "F1Score",
    "AveragePrecision",
    "EqualErrorRate",
    "AUPRO",
    "RBDC",
    "TBDC",
    "EventsFound",
    "EventsFoundAt",
)
FIRST_COLUMNS = ("model", "image_AUROC", "per_video_VideoAUROC", "macro_VideoAUROC")
LAST_COLUMNS = ("frames_judged", "frames_left_out", "label_set", "seed", "skipped")


class VideoJobGenerator(BenchmarkJobGenerator):
    """Makes a job per combination; the model is built by the job, so that its failure is the job's own."""

    @property
    def job_class(self) -> type:
        """The job that this makes."""
        return VideoBenchmarkJob

    def generate_jobs(
        self, args: dict, previous_stage_result: PREV_STAGE_RESULT
    ) -> Generator["VideoBenchmarkJob", None, None]:
        """Go through the grid."""
        del previous_stage_result
        folder = Path("runs") / BenchmarkJob.name / datetime.now().astimezone().strftime("%Y-%m-%d-%H_%M_%S")
        for number, config in enumerate(get_iterator_from_grid_dict(args)):
            yield VideoBenchmarkJob(self.accelerator, config, folder, number)


class VideoBenchmarkJob(BenchmarkJob):
    """Fits and tests one model on one set of videos.

    Args:
        accelerator: ``cpu`` or ``cuda``.
        config: ``model``, ``data`` and ``seed`` of this job.
        folder: of the whole benchmark; gets a folder per job, and the results so far after each.
        number: of the job.
    """

    def __init__(self, accelerator: str, config: dict[str, Any], folder: Path, number: int) -> None:
        # Not anomalib's own, which wants the model built.
        self.accelerator, self.config, self.folder, self.number = accelerator, config, folder, number

    def run(self, task_id: int | None = None) -> dict[str, Any]:
        """Run the job.

        Returns:
            The row of the table: what ran, all metrics, seconds of fitting and testing; or ``skipped`` and why.
        """
        model = dict(self.config["model"])
        name = model.pop("name", model["class_path"].rsplit(".", 1)[-1])
        row: dict[str, Any] = {"model": name, "seed": self.config["seed"]}
        try:
            row |= self._measure(name, model, "auto" if task_id is None else [task_id])
        except Exception as error:  # one model's failure, often a download, must not end the others
            reason = f"{type(error).__name__}: {str(error) or error.__cause__ or 'no more is said'}".splitlines()[0]
            row["skipped"] = reason
            logger.debug("%s failed.", row["model"], exc_info=True)
            Console(stderr=True).print(f"{row['model']} skipped: {reason}", markup=False, soft_wrap=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "jobs.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row | {"config": self.config}, default=str) + "\n")
        return row | {"folder": str(self.folder)}

    def _measure(self, name: str, entry: dict[str, Any], devices: str | list[int]) -> dict[str, Any]:
        trainer = entry.pop("trainer", {})
        seed_everything(self.config["seed"], verbose=False)
        model = get_model(entry)
        model.evaluator, model.visualizer = video_evaluator(), None
        if type(model.post_processor) is PostProcessor:
            # The stock one clamps at the greatest normal score, beyond which all anomalies would be equal.
            model.post_processor = SquashingPostProcessor()
        data = cast("ClipData", get_datamodule(self.config["data"]))
        if ".image." in type(model).__module__:
            data = as_single_frames(data)
        root = self.folder / f"{self.number:02d}_{name.replace('/', '-')}"
        root.mkdir(parents=True, exist_ok=True)
        engine = Engine(
            accelerator=self.accelerator,
            devices=devices,
            default_root_dir=root,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[ScoreRecord(root / "scores.csv")],
            **trainer,
        )
        begin = time.perf_counter()
        engine.fit(model, datamodule=data)
        fitted = time.perf_counter()
        (metrics,) = engine.test(model, datamodule=data)
        seconds = {"fit_seconds": round(fitted - begin, 1), "test_seconds": round(time.perf_counter() - fitted, 1)}
        judged = data.test_data.num_judged
        left_out = sum(video.last - video.first for video in data.test_data.videos) - judged
        frames = {"frames_judged": judged, "frames_left_out": left_out, "label_set": data.label_set}
        return {metric: float(value) for metric, value in metrics.items()} | seconds | frames

    @staticmethod
    def collect(results: list[dict[str, Any]]) -> pd.DataFrame:
        """Join the rows; what a model does not measure is missing and not an error."""
        table = pd.DataFrame(results).drop(columns="folder")
        first, last = ([name for name in names if name in table] for names in (FIRST_COLUMNS, LAST_COLUMNS))
        table = table[[*first, *(name for name in table if name not in {*first, *last}), *last]]
        table.attrs["folder"] = results[0]["folder"]
        return table

    @staticmethod
    def save(result: pd.DataFrame) -> None:
        """Write ``results.csv`` and ``results.md`` beside the jobs and print the table."""
        folder = Path(result.attrs["folder"])
        result.to_csv(folder / "results.csv", index=False)
        page = markdown(result)
        if any(folder.glob("*/scores.csv")):  # none where every model failed, as with a wrong folder of data
            page += "\n" + _comparison(folder)
        write_text(folder / "results.md", page)
        Console().print(page, markup=False, soft_wrap=True)
        Console().print(f"Files: {folder}", markup=False, soft_wrap=True)


def _comparison(folder: Path) -> str:
    try:
        tables = {how: compare_models(folder, how) for how in SMOOTHINGS}
        return "\n".join(
            [markdown_events(compare_events(curves_of(*recorded_scores(folder)))), markdown_tables(tables)]
        )
    except ValueError as error:  # the table of metrics stays
        return f"{error}\n"


class Recorded(NamedTuple):
    """The scores that the jobs of a benchmark left."""

    scores: dict[str, Scores]
    frames: pd.DataFrame
    labels: dict[str, pd.Series]  # of each score, by which it is measured


def recorded_scores(folder: Path) -> Recorded:
    """Read the scores of all jobs; each is measured by the labels of its own data.

    Raises:
        ValueError: two jobs judged different frames, which no table can compare.
    """
    recorded = {path.parent.name: pd.read_csv(path) for path in sorted(folder.glob("*/scores.csv"))}
    (first, frames), *others = recorded.items()
    for name, other in others:
        if not other[["video", "frame"]].equals(frames[["video", "frame"]]):
            msg = (
                f"{first} and {name} judged different frames ({len(frames)} and {len(other)}), so their figures stand "
                "in no table together. Run one benchmark for each data set."
            )
            raise ValueError(msg)
    scores: dict[str, Scores] = {}
    labels: dict[str, pd.Series] = {}
    for name, own in recorded.items():
        found = {name: own.score} | {f"control: {control}": own[control] for control in CONTROLS if control in own}
        scores |= {which: single(values, own) for which, values in found.items()}
        labels |= dict.fromkeys(found, own.label)
    return Recorded(scores, frames, labels)


def compare_models(folder: Path, smoothing: Smoothing) -> pd.DataFrame:
    """Compare the scores that the jobs left: every normalisation, with intervals, beside the controls.

    Errors as :func:`recorded_scores`.
    """
    recorded = recorded_scores(folder)
    return compare_scores(recorded.scores, recorded.frames, smoothing, recorded.labels)


def markdown(result: pd.DataFrame) -> str:
    """Write the table in percent where that is meant, models down, metrics across."""
    lines = [f"| {' | '.join(result.columns)} |", f"| {' | '.join('---' for _ in result.columns)} |"]
    for row in result.to_dict("records"):
        cells = [_cell(str(name), value) for name, value in row.items()]
        lines += [f"| {' | '.join(cells)} |"]
    return "\n".join([*lines, ""])


def _cell(name: str, value: Any) -> str:  # noqa: ANN401
    if isinstance(value, float):
        if pd.isna(value):
            return ""
        if name.startswith("frames_"):
            return f"{value:.0f}"
        return f"{100 * value:.1f}" if name.endswith(PERCENT) else f"{value:.1f}"
    return str(value).replace("|", "/")
