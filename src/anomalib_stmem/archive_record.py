"""Scores of an archive on disk, video by video, so that a run that is stopped has lost at most the videos at hand."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console

from .batch import JudgedBatch
from .checkpoint import fingerprint
from .data.archive import archive_of

if TYPE_CHECKING:
    from .lightning_model import STMem


class ArchiveRecord(Callback):
    """Write the scores of each video of a :class:`~.data.archive.VideoArchive` when it ends; of no other data.

    A video's rows go to ``<video>.csv.part``, which becomes ``<video>.csv`` with its last frame. Every device writes
    ``summary.csv`` anew when it is done, of all videos done by then. ``model.txt`` says whose scores they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self._begun: set[str] = set()

    def on_predict_start(self, trainer: Trainer, pl_module: "STMem") -> None:
        """Let go of each batch once it is written, since an archive does not fit in memory.

        Raises:
            ValueError: the results are of another model.
        """
        archive = archive_of(trainer)
        if archive is None:
            return
        trainer.predict_loop.return_predictions = False
        self._begun = set()
        own, mark = fingerprint(pl_module), archive.results_dir / "model.txt"
        if mark.exists() and mark.read_text() != own:
            msg = (
                f"{archive.results_dir} holds scores of another model, which would be mixed with those of this one. "
                "Name another folder with --data.results_dir."
            )
            raise ValueError(msg)
        archive.results_dir.mkdir(parents=True, exist_ok=True)
        mark.write_text(own)

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: "STMem",
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
            archive.failure_of(video).unlink(missing_ok=True)

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
        failed = [archive.failure_of(name) for name in archive.videos if archive.failure_of(name).exists()]
        found = f"{len(done)} of {len(archive.videos)} videos have scores in {archive.results_dir}"
        if failed:
            found += f"; {len(failed)} could not be judged, such as {failed[0]}"
        Console().print(f"{found}.", soft_wrap=True)


def _rows(batch: JudgedBatch, model: "STMem") -> pd.DataFrame:
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
