"""Writes the scores of an archive, video by video, so that a run that is stopped has lost at most those at hand."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from lightning.pytorch import Callback, Trainer
from rich.console import Console

from ..data.archive import VideoArchive, archive_of
from ..model.scoring import ScoreHead
from ..results.files import write_text
from ..results.scores_table import ScoresTable
from ..video.damaged_files import refuse_damaged
from ..video.frame_rate import known_rates
from ..video.identity import identity
from .batch import JudgedBatch
from .module import JudgingModule


class ArchiveScores(Callback):
    """Write the scores of each video of a :class:`~anomalib_stmem.VideoArchive` when it ends; of no other data.

    Every device writes ``summary.csv`` anew when it is done, of all videos done by then. ``model.txt`` says whose
    scores they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self._begun: dict[str, tuple[ScoresTable, dict[str, Any]]] = {}  # with what the video was like

    def on_predict_start(self, trainer: Trainer, pl_module: JudgingModule) -> None:
        """Let go of each batch once it is written, since an archive does not fit in memory.

        Raises:
            ValueError: the results are of another model.
        """
        archive = archive_of(trainer)
        if archive is None:
            return
        trainer.predict_loop.return_predictions = False
        self._begun = {}
        own, mark = pl_module.trained.fingerprint(), archive.results_dir / "model.txt"
        if mark.exists() and mark.read_text("utf-8") != own:
            msg = (
                f"{archive.results_dir} holds scores of another model, which would be mixed with those of this one. "
                "Name another folder with --data.results_dir."
            )
            raise ValueError(msg)
        write_text(mark, own)

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: JudgingModule,
        outputs: Any,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Append the rows of a clip to its video's file."""
        del args, kwargs
        archive = archive_of(trainer)
        if archive is None:
            return
        video = outputs.video_name[0]
        if video not in self._begun:  # what an earlier run left half done is overwritten
            self._begun[video] = ScoresTable(archive.scores_of(video)), identity(archive.videos[video])
        table, source = self._begun[video]
        table.add(_rows(outputs, pl_module.model.head))
        if int(outputs.last_frame[-1]) == int(outputs.frames[-1]):
            del self._begun[video]
            table.close()
            write_text(archive.source_of(video), json.dumps(source))
            archive.failure_of(video).unlink(missing_ok=True)

    def on_predict_end(self, trainer: Trainer, pl_module: JudgingModule) -> None:
        """Write the summary, and say what could not be judged."""
        self._discard_unfinished()
        del pl_module
        archive = archive_of(trainer)
        if archive is not None:
            Console().print(_summarise(archive, trainer.global_rank), soft_wrap=True)

    def on_exception(self, trainer: Trainer, pl_module: JudgingModule, exception: BaseException) -> None:
        """Leave what is half done under the name of something half done."""
        del trainer, pl_module, exception
        self._discard_unfinished()

    def _discard_unfinished(self) -> None:
        for table, _ in self._begun.values():
            table.discard()
        self._begun = {}


def _rows(batch: JudgedBatch, head: ScoreHead) -> pd.DataFrame:
    frames = batch.frames.cpu().numpy()
    rates = known_rates(batch.frame_rate.cpu().numpy(), "Seconds")
    columns = {
        "frame": frames,
        "seconds": (frames / rates).round(3),
        "score": head(batch.measurements).cpu().numpy(),
        "pred_score": batch.pred_score.cpu().numpy(),
    }
    if batch.pred_label is not None:
        columns["pred_label"] = batch.pred_label.int().cpu().numpy()
    return pd.DataFrame(columns)


def _summarise(archive: VideoArchive, device: int) -> str:
    done = [name for name in archive.videos if archive.scores_of(name).exists()]
    if done:
        unfinished = archive.results_dir / f"summary.csv.{device}"
        pd.DataFrame([_summary(name, archive.scores_of(name)) for name in done]).to_csv(unfinished, index=False)
        unfinished.replace(archive.results_dir / "summary.csv")
    failed = [archive.failure_of(name) for name in archive.videos if archive.failure_of(name).exists()]
    found = f"{len(done)} of {len(archive.videos)} videos have scores in {archive.results_dir}"
    if failed:
        found += f"; {len(failed)} could not be judged, such as {failed[0]}"
    return f"{found}."


def _summary(name: str, scores: Path) -> dict[str, Any]:
    with refuse_damaged(scores, "table of scores"):
        frames = pd.read_csv(scores)
        place = int(frames.pred_score.argmax())
        highest = {"highest": frames.pred_score[place], "highest_at_seconds": frames.seconds[place]}
    row = {"video": name, "frames": len(frames)} | highest
    return row | ({"frames_in_alarm": int(frames.pred_label.sum())} if "pred_label" in frames else {})
