"""The record of each video of ``anomalib test`` or ``predict``: its frames are decoded again beside their verdicts."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer

from ..batch import JudgedBatch
from ..data.archive import archive_of, open_forwards
from ..data.frames import Frame
from ..evaluation.report import stage_folder
from ..streaming.stream import Verdict
from .events import Moment
from .files import safe_name
from .video_record import VideoRecord

if TYPE_CHECKING:
    from ..lightning_model import STMem

Judged = tuple[Verdict, bool | None]  # and whether the frame is abnormal

RATE_TOLERANCE = 0.2  # of the frame rate, beyond which speeds are no longer those of the training video

logger = logging.getLogger(__name__)


class RunRecord(Callback):
    """Write a :class:`VideoRecord` of every judged video, in ``videos/`` of the stage's folder.

    Frames are shown in the size of their files, not in the network's. A video whose files are gone has no record; with
    several devices none has, since each of them sees only a part.
    """

    def __init__(self) -> None:
        super().__init__()
        self._playing: dict[str, Playing | None] = {}  # by video; None where it cannot be decoded again, or is done

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: "STMem",
        outputs: JudgedBatch,
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Record the judged frames of a batch."""
        del args, kwargs
        if trainer.world_size > 1 or archive_of(trainer) is not None or outputs.video_path is None:
            return
        folder = stage_folder(Path(trainer.default_root_dir), "test" if trainer.testing else "predict") / "videos"
        for place in range(len(outputs.image)):
            video = outputs.video_name[place]
            if video not in self._playing:
                self._playing[video] = _play(outputs, place, folder, pl_module)
            playing = self._playing[video]
            try:
                if playing is not None and playing.show(outputs, place):
                    self._playing[video] = None
            except OSError as error:  # a full disk must not cost what is judged
                logger.warning("Video %s has no films: %s", video, error)
                playing.record.discard()
                self._playing[video] = None

    on_predict_batch_end = on_test_batch_end  # type: ignore[assignment]  # same arguments

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finish the videos of which not every frame was judged."""
        del trainer, pl_module
        playing, self._playing = self._playing, {}
        for one in playing.values():
            if one is not None:
                one.finish()

    on_predict_end = on_test_end

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave no half-written film."""
        del trainer, pl_module, exception
        playing, self._playing = self._playing, {}
        for one in playing.values():
            if one is not None:
                one.record.discard()


class Playing:
    """A video that is decoded in step with its verdicts; those that come early wait for their turn.

    Args:
        frames: from its start.
        record: to write to.
        frame_rate: frames per second.
        due: number of the first frame that is judged.
    """

    def __init__(self, frames: Iterator[Frame], record: VideoRecord, frame_rate: float, due: int) -> None:
        self._frames, self.record, self._rate, self._due = frames, record, frame_rate, due
        self._next = 0  # number of the next frame to decode
        self._waiting: dict[int, Judged] = {}

    def show(self, batch: JudgedBatch, place: int) -> bool:
        """Take the verdict of a frame; true if it was the last of the video."""
        number = int(batch.frames[place])
        self._waiting[number] = _judged(batch, place)
        while self._due in self._waiting:
            self._play_to(self._due)
        if batch.last_frame is None or self._due <= int(batch.last_frame[place]):
            return False
        self.finish()
        return True

    def finish(self) -> None:
        """Play what is left, and close the record."""
        for number in sorted(self._waiting):
            self._play_to(number)
        self.record.close()

    def _play_to(self, number: int) -> None:
        verdict, label = self._waiting.pop(number)
        self._due = number + 1
        for frame in self._frames:
            picture = np.ascontiguousarray(frame[::-1].transpose(1, 2, 0))  # BGR
            known = (verdict, label) if self._next == number else (None, None)
            self.record.push(Moment(self._next, self._next / self._rate, picture, *known))
            self._next += 1
            if self._next > number:
                return


def _play(batch: JudgedBatch, place: int, folder: Path, model: "STMem") -> Playing | None:
    path, name, rate = Path(batch.video_path[place]), batch.video_name[place], float(batch.frame_rate[place])
    trained_at = float(getattr(model.post_processor, "frame_rate", float("nan")))
    if abs(rate / trained_at - 1) > RATE_TOLERANCE:  # false where it is not known
        logger.warning(
            "Video %s has %.3g frames per second, the training video had %.3g: movement looks %.2g times as fast as it "
            "is, and scores are off. `stmem watch` takes frames at the rate of the training video.",
            *(name, rate, trained_at, trained_at / rate),
        )
    try:
        _, frames = open_forwards(path, None, "keep")
    except (ValueError, OSError, IndexError, cv2.error):
        logger.warning("Video %s has no films: %s cannot be decoded again.", name, path)
        return None
    # Names of other datamodules are whole paths.
    parts = [path.name] if Path(name).is_absolute() else Path(name).parts
    return Playing(frames, VideoRecord(folder.joinpath(*map(safe_name, parts)), name, rate), rate, model.model.window)


def _judged(batch: JudgedBatch, place: int) -> Judged:
    verdict = Verdict(
        int(batch.frames[place]),
        float(batch.pred_score[place]),
        None if batch.pred_label is None else bool(batch.pred_label[place]),
        batch.anomaly_map[place].squeeze(0).float().cpu().numpy(),
    )
    return verdict, None if batch.gt_label is None else bool(batch.gt_label[place])
