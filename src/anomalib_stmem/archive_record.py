"""Scores of an archive on disk, video by video, so that a run that is stopped has lost at most the videos at hand."""

from pathlib import Path
from typing import Any

import pandas as pd
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console

from .batch import JudgedBatch
from .data.archive import VideoArchive


class ArchiveRecord(Callback):
    """Write the scores of each video of a :class:`VideoArchive` when it ends; does nothing with other data.

    A video's rows go to ``<video>.csv.part``, which becomes ``<video>.csv`` with its last frame. Every device writes
    ``summary.csv`` anew when it is done, of all videos that are done by then.
    """

    def __init__(self) -> None:
        super().__init__()
        self._begun: set[str] = set()

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let go of each batch once it is written: an archive does not fit in memory."""
        del pl_module
        if archive_of(trainer) is not None:
            trainer.predict_loop.return_predictions = False
        self._begun = set()

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Append the rows of a clip to its video's file."""
        del args, kwargs
        archive = archive_of(trainer)
        if archive is None:
            return
        rows = _rows(outputs, pl_module)
        video = outputs.video_name[0]
        whole = archive.scores_of(video)
        part = whole.with_name(f"{whole.name}.part")
        begins = video not in self._begun  # what an earlier run left half done is overwritten
        if begins:
            part.parent.mkdir(parents=True, exist_ok=True)
            self._begun.add(video)
        rows.to_csv(part, mode="w" if begins else "a", header=begins, index=False)
        if int(outputs.last_frame[-1]) == int(outputs.frames[-1]):
            part.replace(whole)
            whole.with_suffix(".failed").unlink(missing_ok=True)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the summary, and say what could not be judged."""
        del pl_module
        archive = archive_of(trainer)
        if archive is None:
            return
        done = [name for name in archive.videos if archive.scores_of(name).exists()]
        if done:
            summary = pd.DataFrame([_summary(name, archive.scores_of(name)) for name in done])
            unfinished = archive.results_dir / f"summary.csv.{trainer.global_rank}"
            summary.to_csv(unfinished, index=False)
            unfinished.replace(archive.results_dir / "summary.csv")
        failed = [name for name in archive.videos if (archive.results_dir / f"{name}.failed").exists()]
        found = f"{len(done)} of {len(archive.videos)} videos have scores in {archive.results_dir}"
        if failed:
            found += f"; {len(failed)} could not be judged, see {failed[0]}.failed" + (
                " and others" * (len(failed) > 1)
            )
        Console().print(f"{found}.", soft_wrap=True)


def archive_of(trainer: Trainer) -> VideoArchive | None:
    """Return the archive that a trainer judges, if it judges one."""
    data = getattr(trainer, "datamodule", None)
    return data if isinstance(data, VideoArchive) else None


def _rows(batch: JudgedBatch, model: Any) -> pd.DataFrame:  # noqa: ANN401
    frames = batch.frames.cpu().numpy()
    columns = {
        "frame": frames,
        "seconds": (frames / batch.frame_rate.cpu().numpy()).round(3),
        "score": model.model.head(batch.measurements).cpu().numpy(),
        "pred_score": batch.pred_score.cpu().numpy(),
    }
    if batch.pred_label is not None:
        columns["pred_label"] = batch.pred_label.int().cpu().numpy()
    return pd.DataFrame(columns)


def _summary(name: str, scores: Path) -> dict[str, Any]:
    frames = pd.read_csv(scores)
    place = int(frames.pred_score.argmax())
    highest = {"highest": frames.pred_score[place], "highest_at_seconds": frames.seconds[place]}
    row = {"video": name, "frames": len(frames)} | highest
    return row | ({"frames_in_alarm": int(frames.pred_label.sum())} if "pred_label" in frames else {})
