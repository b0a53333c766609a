"""Keeps scores, events and films of each video of a test or prediction; its frames are decoded again beside them."""

import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from lightning.pytorch import Callback, Trainer

from ..data.archive import archive_of
from ..model.camera_watch import TOLD_AFTER, CameraWatch
from ..model.decision import Decision, Rule
from ..model.trained_model import TrainedModel
from ..results.judged_frame import JudgedFrame, Verdict
from ..results.video_results import VideoResults
from ..video.frame import Frame, Planes, planes
from ..video.frame_rate import explain_other_rate, known_rates
from ..video.names import Folders
from ..video.recorded import read_once
from .batch import JudgedBatch
from .module import JudgingModule
from .stage_folder import StageFolder

Judged = tuple[Verdict, bool | None]  # and whether the frame is abnormal
Known = tuple[Verdict | None, bool | None]

logger = logging.getLogger(__name__)


class RunVideos(Callback):
    """Write the :class:`VideoResults` of every judged video, in ``videos/`` of the stage's folder.

    Frames are shown in the size of their files, not in the network's. A video whose files are gone has none; with
    several devices no video has any, since each of them sees only a part. While the camera itself fails, that is the
    event, and no movement is told, as in a watch.

    Args:
        stage_folder: where the files of a test or prediction go.
    """

    def __init__(self, stage_folder: StageFolder) -> None:
        super().__init__()
        self._stage_folder, self._names = stage_folder, Folders()
        self._playing: dict[str, Playing | None] = {}  # by video; None where it cannot be decoded again, or is done

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: JudgingModule,
        outputs: JudgedBatch,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Keep the judged frames of a batch."""
        del args, kwargs
        if trainer.world_size > 1 or archive_of(trainer) is not None or outputs.video_path is None:
            return
        folder = self._stage_folder.of(trainer) / "videos"
        for place in range(len(outputs.image)):
            video = outputs.video_name[place]
            if video not in self._playing:
                self._playing[video] = _play(outputs, place, folder / self._names.of(video), pl_module.trained)
            playing = self._playing[video]
            try:
                if playing is not None and playing.show(outputs, place):
                    self._playing[video] = None
            except OSError as error:  # a full disk must not cost what is judged
                logger.warning("Video %s has no films: %s", video, error)
                playing.results.discard()
                self._playing[video] = None

    on_predict_batch_end = on_test_batch_end  # type: ignore[assignment]  # same arguments

    def on_test_end(self, trainer: Trainer, pl_module: JudgingModule) -> None:
        """Finish the videos of which not every frame was judged."""
        del trainer, pl_module
        playing, self._playing = self._playing, {}
        for one in playing.values():
            if one is not None:
                one.finish()

    on_predict_end = on_test_end  # type: ignore[assignment]  # same arguments

    def on_exception(self, trainer: Trainer, pl_module: JudgingModule, exception: BaseException) -> None:
        """Leave no half-written film."""
        del trainer, pl_module, exception
        playing, self._playing = self._playing, {}
        for one in playing.values():
            if one is not None:
                one.results.discard()


class Playing:
    """A video that is decoded in step with its verdicts; those that come early wait for their turn.

    Args:
        frames: from its start.
        results: to write to.
        frame_rate: frames per second.
        trained: the model that judges.
    """

    def __init__(
        self, frames: Iterator[Planes], results: VideoResults, frame_rate: float, trained: TrainedModel
    ) -> None:
        self._frames, self.results, self._rate, self._trained = frames, results, frame_rate, trained
        self._decision = Decision(Rule.at_rate(frame_rate))
        self._watch = None if trained.normal is None else CameraWatch(trained.normal, frame_rate)
        self._failing: str | None = None  # what is told of the camera at the latest frame
        self._failing_since = math.nan  # seconds
        self._due = trained.window  # number of the next frame with a verdict
        self._next = 0  # number of the next frame to decode
        self._waiting: dict[int, Judged] = {}

    def show(self, batch: JudgedBatch, place: int) -> bool:
        """Take the verdict of a frame; true if it was the last of the video."""
        number = int(batch.frames[place])
        self._waiting[number] = _judged(batch, place, self._trained)
        while self._due in self._waiting:
            self._play_to(self._due)
        if batch.last_frame is None or self._due <= int(batch.last_frame[place]):
            return False
        self.finish()
        return True

    def finish(self) -> None:
        """Play what is left, and close the results."""
        for number in sorted(self._waiting):
            self._play_to(number)
        self.results.close()

    def _play_to(self, number: int) -> None:
        raw, label = self._waiting.pop(number)
        if number != self._due:
            self._decision.reset()
        self._due = number + 1
        for decoded in self._frames:
            is_silent = self._look_at(decoded)
            known: Known = (None, None)
            if self._next == number:
                known = (None if is_silent else self._decide(raw), label)
            image = np.ascontiguousarray(decoded[::-1].transpose(1, 2, 0))  # BGR
            frame = Frame(self._next, self._next / self._rate, image)
            self.results.push(JudgedFrame(frame, *known, camera=self._failing, camera_since=self._failing_since))
            self._next += 1
            if self._next > number:
                return

    def _look_at(self, decoded: Planes) -> bool:
        """Look at the picture itself, and say whether movement cannot be judged in it."""
        if self._watch is None:
            return False
        picture = planes(np.ascontiguousarray(decoded[::-1].transpose(1, 2, 0)), self._trained.image_size)
        self._watch.push(picture.astype(np.float32) / np.float32(255))
        if self._watch.trouble is not None and self._watch.trouble != self._failing:
            self._failing_since = max(0.0, self._next / self._rate - TOLD_AFTER)
        self._failing = self._watch.trouble
        if self._watch.is_silent:
            self._decision.reset()
        return self._watch.is_silent

    def _decide(self, raw: Verdict) -> Verdict:
        is_alarm = None if raw.is_anomalous is None else self._decision.push(raw.score)
        return replace(raw, is_anomalous=is_alarm, level=self._decision.level)


def _play(batch: JudgedBatch, place: int, folder: Path, trained: TrainedModel) -> Playing | None:
    path, name, said = Path(batch.video_path[place]), batch.video_name[place], float(batch.frame_rate[place])
    other_rate = explain_other_rate(name, said, trained.frame_rate)
    if other_rate is not None:
        logger.warning("%s", other_rate)
    try:
        frames = read_once(path, None, "keep").frames
    except (ValueError, OSError, IndexError, cv2.error):
        logger.warning("Video %s has no films: %s cannot be decoded again.", name, path)
        return None
    rate = float(known_rates(np.array([said]), "Films and events")[0])
    return Playing(frames, VideoResults(folder, name, rate, ignored=trained.ignored), rate, trained)


def _judged(batch: JudgedBatch, place: int, trained: TrainedModel) -> Judged:
    head, nearest = trained.network.head, None
    if batch.nearest is not None and trained.examples is not None:
        nearest = trained.examples[int(batch.nearest[place])]
    odd = dict(zip(head.sources, head.odd(batch.measurements[place]).tolist(), strict=True)) if head.fusion else {}
    verdict = Verdict(
        int(batch.frames[place]),
        float(batch.pred_score[place]),
        None if batch.pred_label is None else bool(batch.pred_label[place]),
        batch.anomaly_map[place].squeeze(0).float().cpu().numpy(),
        odd=odd,
        nearest=nearest,
    )
    return verdict, None if batch.gt_label is None else bool(batch.gt_label[place])
