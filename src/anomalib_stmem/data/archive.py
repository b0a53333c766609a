"""A folder of many videos to be judged, on any number of devices, and gone on with after a stop."""

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import cv2
import torch
from anomalib.data.datamodules.base.video import AnomalibVideoDataModule
from anomalib.data.utils import ValSplitMode
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ..video.damage import OnDamage
from ..video.finding import find_videos
from ..video.frame import Planes, Size
from ..video.frame_rate import explain_other_rate
from ..video.identity import identity
from ..video.names import shown, video_name
from ..video.proportion import refuse_other_proportion
from ..video.recorded import read_once
from .clips import ClipBatch, as_floats
from .datamodule import size_for_model

logger = logging.getLogger(__name__)


class VideoArchive(AnomalibVideoDataModule):
    """Judge every video under a folder, and write one file of scores per video as it ends.

    Each video is decoded once, by one worker of one device. Its scores appear under ``results_dir`` when it is done.
    Videos that have scores and have not changed since are passed over, so a run that was stopped goes on where it was.
    A video that cannot be judged costs only itself: ``<video>.failed`` says why, and the next run tries again. For
    ``anomalib predict``.

    Args:
        root: folder of videos, as deep as you like: files, or folders of images.
        results_dir: gets ``videos/<video>.csv`` (frame, seconds, score, pred_score, pred_label), ``<video>.source``
            (size, time and hash of the video that was judged) and ``summary.csv``.
        clip_length_in_frames: the model's ``window`` + 1.
        eval_clip_length: frames per clip; the more, the fewer are encoded twice, and the more memory it takes.
        num_workers: processes per device that decode; each takes whole videos.
        damaged: ``refuse`` a video that is cut off or of which more than 5 % of the frames are damaged, or ``keep``
            what can be decoded.
        frame_rate: frames per second of videos that do not say theirs; 25 are assumed, with a warning, without it.

    Raises:
        ValueError: clips leave no frame to judge.
    """

    def __init__(
        self,
        root: Path | str,
        results_dir: Path | str = "archive_scores",
        clip_length_in_frames: int = 6,
        eval_clip_length: int = 32,
        num_workers: int = 1,
        damaged: OnDamage = "refuse",
        frame_rate: float | None = None,
    ) -> None:
        super().__init__(1, 1, num_workers, val_split_mode=ValSplitMode.NONE)
        if eval_clip_length < clip_length_in_frames:
            least = f"clip_length_in_frames, {clip_length_in_frames}"
            msg = f"eval_clip_length must be at least {least}; got {eval_clip_length}."
            raise ValueError(msg)
        self.root, self.results_dir = Path(root), Path(results_dir)
        self.clip_length_in_frames, self.eval_clip_length = clip_length_in_frames, eval_clip_length
        self.damaged: OnDamage = damaged
        self.frame_rate = frame_rate

    def setup(self, stage: str | None = None) -> None:
        """Find the videos; none is opened yet."""
        del stage
        self.videos = {video_name(path, self.root): path for path in find_videos(self.root)}

    def _setup(self, _stage: str | None = None) -> None:
        """Do nothing; :meth:`setup` is all there is."""

    def predict_dataloader(self) -> DataLoader:
        """Clips of the videos of this device that have no scores yet."""
        trainer = self.trainer
        devices, rank = (1, 0) if trainer is None else (trainer.world_size, trainer.global_rank)
        # Shared out before looking what is done, which would differ from device to device.
        own = list(self.videos.items())[rank::devices]
        left = {name: path for name, path in own if not self.is_done(name)}
        if len(left) < len(own):
            logger.warning(
                "%d of %d videos have scores in %s already.", len(own) - len(left), len(own), self.results_dir
            )
        for name in left:  # scores of what a video was before would pass for its own
            self.scores_of(name).unlink(missing_ok=True)
        return DataLoader(
            ArchiveClips(self, left, size_for_model(trainer), self._training_video()),
            batch_size=None,
            num_workers=min(self.num_workers, max(1, len(left))),
        )

    def _training_video(self) -> tuple[float | None, float | None]:
        """Return frame rate and proportion of the training video, as far as they are known."""
        trained = getattr(getattr(self.trainer, "lightning_module", None), "trained", None)
        return getattr(trained, "frame_rate", None), getattr(trained, "proportion", None)

    def train_dataloader(self) -> NoReturn:
        """Refuse: an archive is only judged.

        Raises:
            TypeError: always.
        """
        msg = "VideoArchive is for `anomalib predict`. Train and test with VideoFolder."
        raise TypeError(msg)

    val_dataloader = test_dataloader = train_dataloader

    def transfer_batch_to_device(self, batch: ClipBatch, device: torch.device, dataloader_idx: int) -> ClipBatch:
        """Turn bytes into floats where they are used."""
        return as_floats(super().transfer_batch_to_device(batch, device, dataloader_idx))

    def scores_of(self, video: str) -> Path:
        """Return the file of a video's scores."""
        return self.results_dir / "videos" / f"{video}.csv"

    def source_of(self, video: str) -> Path:
        """Return the file that says which state of a video was judged."""
        return self.results_dir / "videos" / f"{video}.source"

    def is_done(self, video: str) -> bool:
        """Whether a video has scores, and is still the one that they are of."""
        if not self.scores_of(video).exists():
            return False
        source = self.source_of(video)
        with suppress(OSError, ValueError):  # not there or damaged: then nobody knows what was judged
            if json.loads(source.read_text("utf-8")) == identity(self.videos[video]):
                return True
        logger.warning("%s has changed since it was judged, and is judged anew.", self.videos[video])
        return False

    def failure_of(self, video: str) -> Path:
        """Return the file that says why a video has no scores."""
        return self.results_dir / "videos" / f"{video}.failed"

    def note_failure(self, video: str, reason: str) -> None:
        """Write down why a video has no scores."""
        note = self.failure_of(video)
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(reason + "\n", "utf-8")
        logger.warning("%s was not judged: %s", video, reason)


class ArchiveClips(IterableDataset):
    """Batches of one clip, video by video.

    ``last_frame`` is the latest frame decoded so far: beyond the clip, unless the clip ends its video.

    Args:
        archive: whose options hold.
        videos: paths by name.
        size_hw: frames are resized to; ``None`` leaves them as they are.
        trained_at: frame rate and proportion of the training video, as far as they are known. Another rate is told, and
            a video of another proportion is refused.
    """

    def __init__(
        self,
        archive: VideoArchive,
        videos: dict[str, Path],
        size_hw: Size | None,
        trained_at: tuple[float | None, float | None] = (None, None),
    ) -> None:
        self._context, self._length = archive.clip_length_in_frames - 1, archive.eval_clip_length
        self._note_failure, self._rate, self._damaged = archive.note_failure, archive.frame_rate, archive.damaged
        self._videos, self._size, self._trained_at = videos, size_hw, trained_at

    def __iter__(self) -> Iterator[ClipBatch]:
        """Go through the videos of this worker."""
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for name, path in list(self._videos.items())[first::step]:
            try:
                yield from self._clips(name, path)
            except (ValueError, OSError, cv2.error) as error:  # noqa: PERF203  # each video for itself
                self._note_failure(name, str(error))

    def _clips(self, name: str, path: Path) -> Iterator[ClipBatch]:
        rate, source_hw, frames = read_once(path, self._size, self._damaged)
        trained_rate, proportion = self._trained_at
        refuse_other_proportion(shown(path), source_hw, proportion)
        other_rate = explain_other_rate(name, rate or self._rate or torch.nan, trained_rate)
        if other_rate is not None:
            logger.warning("%s", other_rate)
        held: list[Planes] = []
        number = -1  # of the last frame held
        for frame in frames:
            if len(held) == self._length:
                yield self._clip(name, path, held, number, rate or self._rate or torch.nan, ends=False)
                held = held[-self._context :]
            held.append(frame)
            number += 1
        if number < self._context:
            msg = f"{path} has {number + 1} frames, fewer than one window and a frame to judge ({self._context + 1})."
            raise ValueError(msg)
        yield self._clip(name, path, held, number, rate or self._rate or torch.nan, ends=True)

    def _clip(self, name: str, path: Path, held: list[Planes], last: int, rate: float, ends: bool) -> ClipBatch:
        count = len(held) - self._context
        return ClipBatch(
            image=torch.stack([torch.from_numpy(frame) for frame in held])[None],
            judged=(torch.arange(len(held)) >= self._context)[None],
            video_path=[str(path)] * count,
            video_name=[name] * count,
            frames=torch.arange(last - count + 1, last + 1),
            last_frame=torch.full((count,), last if ends else last + 1),
            frame_rate=torch.full((count,), float(rate)),
        )


def archive_of(trainer: Trainer) -> VideoArchive | None:
    """Return the archive that a trainer judges, if it judges one.

    It keeps its own record: reports and pictures of a whole run would hold all of it in memory, and let devices that
    end hours apart wait for each other.
    """
    data = getattr(trainer, "datamodule", None)
    return data if isinstance(data, VideoArchive) else None
