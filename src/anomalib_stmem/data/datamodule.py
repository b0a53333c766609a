"""From videos to training, validation and test clips: what the datamodules of all layouts share."""

import logging
from abc import abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import torch
from anomalib.data.datamodules.base.video import AnomalibVideoDataModule
from anomalib.data.transforms.utils import extract_transforms_by_type
from anomalib.data.utils import ValSplitMode
from lightning.pytorch.trainer.states import TrainerFn
from lightning_utilities.core.rank_zero import rank_zero_only
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader, get_worker_info
from torchvision.transforms.v2 import Resize

from ..video.damage import OnDamage
from ..video.frame import Size
from ..video.names import shown
from ..video.proportion import common_proportion, refuse_other_proportion
from ..video.recorded import Video, open_video
from .cache import open_cached
from .clips import ClipBatch, ClipDataset, as_floats
from .labels import LabelledVideo, spread, without_gaps
from .new_frames import without_repeats
from .order import ClipOrder, Share

logger = logging.getLogger(__name__)

HOLD_OUT_EVERY = 6  # videos; a fixed rule, because a random one would differ between runs and devices


class ClipData(AnomalibVideoDataModule):
    """Clips of a fixed camera: normal videos to train on, others to judge. The base of every layout.

    Frames of normal video that repeat the one before are left out. Validation data is normal, and calibrates the
    scores. By default every sixth training video is held out for it (the
    last one if there are fewer; the last sixth of the frames if there is one).

    Args:
        clip_length_in_frames: frames per judged clip: the model's ``window`` + 1.
        frames_between_clips: stride between training clips. Test clips always have stride 1: every frame is judged.
        train_clip_length: frames per training clip. Longer ones encode each frame fewer times and give the same
            loss per frame. Defaults to ``clip_length_in_frames`` + 3.
        eval_clip_length: frames per clip to judge. All but the first ``clip_length_in_frames - 1`` are judged, so each
            frame is encoded about once; the numbers are those of windows, frame for frame. Models that do not judge
            whole clips get windows.
        train_batch_size: clips per training step; many small steps learn more than few large ones (docs/results.md).
        eval_batch_size: clips per validation, test or prediction step.
        num_workers: processes that decode and read clips.
        val_split_mode: ``from_train`` (held-out normal videos, the default), ``same_as_test`` (thresholds then come
            from test labels) or ``none`` (trains on everything, and calibrates on every sixth video although trained on
            it, which makes the threshold too low).
        image_size: height and width that frames are resized to when they are decoded. Defaults to the size that the
            model's pre-processor asks for; without a model, frames keep their size.
        cache_dir: where decoded and resized frames are kept, ``h * w * 3`` bytes each (Ped2 at 256x256: 0.9 GB), so
            that later epochs and runs decode nothing. Defaults to no cache: each frame is decoded once per epoch.
        damaged: ``refuse`` a video that is cut off or of which more than 5 % of the frames are damaged, or ``keep``
            what can be decoded.
        frame_rate: frames per second of videos that do not say theirs, as folders of images. Without it their rate
            stays unknown, and where seconds count (events, films, false alarms per hour) 25 is assumed, with a
            warning.

    Raises:
        ValueError: another ``val_split_mode``, a number not above 0, or training clips shorter than judged ones.
    """

    train_data: ClipDataset
    val_data: ClipDataset
    test_data: ClipDataset
    label_set = "as found"  # which frames count as abnormal, for the result table

    def __init__(
        self,
        clip_length_in_frames: int = 6,
        frames_between_clips: int = 4,
        train_clip_length: int | None = None,
        eval_clip_length: int = 16,
        train_batch_size: int = 1,
        eval_batch_size: int = 2,
        num_workers: int = 2,
        val_split_mode: ValSplitMode | str = ValSplitMode.FROM_TRAIN,
        image_size: tuple[int, int] | None = None,
        cache_dir: Path | str | None = None,
        damaged: OnDamage = "refuse",
        frame_rate: float | None = None,
    ) -> None:
        super().__init__(train_batch_size, eval_batch_size, num_workers, val_split_mode=val_split_mode)
        allowed = (ValSplitMode.FROM_TRAIN, ValSplitMode.SAME_AS_TEST, ValSplitMode.NONE)
        if self.val_split_mode not in allowed:
            msg = f"val_split_mode must be one of {[mode.value for mode in allowed]}; got {val_split_mode!r}."
            raise ValueError(msg)
        for name, value in (("frames_between_clips", frames_between_clips), ("frame_rate", frame_rate)):
            if value is not None and value <= 0:
                msg = f"{name} must be above 0; got {value}."
                raise ValueError(msg)
        if train_clip_length is None:
            train_clip_length = clip_length_in_frames + 3
        if train_clip_length < clip_length_in_frames:
            msg = (
                f"train_clip_length must be at least clip_length_in_frames, {clip_length_in_frames}: frames to look at "
                f"and one to predict; got {train_clip_length}."
            )
            raise ValueError(msg)
        self.clip_length_in_frames = clip_length_in_frames
        self.frames_between_clips = frames_between_clips
        self.train_clip_length = train_clip_length
        self.eval_clip_length = eval_clip_length
        self.image_size = image_size
        self.cache_dir = None if cache_dir is None else Path(cache_dir)
        self.damaged: OnDamage = damaged
        self.frame_rate = frame_rate
        self._read_for: tuple[Size | None, bool] | None = None  # frame size, and whether whole clips are judged
        self._goes_on: tuple[int, int] | None = None  # epoch, and batches of it that a stopped training has seen

    # -- what a layout answers ---------------------------------------------------------------------------------------

    @abstractmethod
    def training_videos(self) -> list[LabelledVideo]:
        """Find and open the normal videos, all frames of each, in order."""

    @abstractmethod
    def test_videos(self) -> list[LabelledVideo]:
        """Find and open the videos to judge with what is known about them, in order."""

    def has_test_videos(self) -> bool:
        """Whether there are videos to judge; training does not need them."""
        return True

    # -- what it gets for it -----------------------------------------------------------------------------------------

    def open_videos(self, paths: Sequence[Path]) -> list[Video]:
        """Open several videos at a time as the options say; headers are checked, files counted, caches filled."""
        size = self._wanted_size()

        def open_one(path: Path) -> Video:
            if self.cache_dir is None:
                return open_video(path, size, self.damaged)
            return open_cached(path, self.cache_dir, size, self.damaged)

        with ThreadPoolExecutor(max(1, self.num_workers)) as pool:
            opened = pool.map(open_one, paths)
            hidden = not Console().is_terminal or getattr(rank_zero_only, "rank", 0) != 0
            return list(track(opened, "Opening videos", len(paths), transient=True, disable=hidden))

    def without_repeats(self, videos: list[LabelledVideo]) -> list[LabelledVideo]:
        """Leave out the frames of training videos that show nothing new."""
        with ThreadPoolExecutor(max(1, self.num_workers)) as pool:
            return list(pool.map(partial(without_repeats, rate=self.frame_rate), videos))

    def setup(self, stage: str | None = None) -> None:
        """Read what the stage needs, once; anomalib's own would set up all parts and split them again."""
        self._setup(stage)
        self._update_augmentations()

    def _setup(self, _stage: str | None = None) -> None:
        read_for = self._wanted_size(), self._whole_clips()
        if read_for != self._read_for:  # another model than before
            self._read_for = read_for
            for part in ("train_data", "val_data", "test_data"):
                self.__dict__.pop(part, None)
        judging = _stage in {TrainerFn.TESTING, TrainerFn.PREDICTING, "test", "predict"}
        if not hasattr(self, "test_data") and (judging or self.has_test_videos()):
            self.test_data = self._clips(self.test_videos(), "test")
        if not hasattr(self, "train_data") and not judging:
            self._split_training()

    def _wanted_size(self) -> Size | None:
        """Return the size to read: the option's, else that of the model at hand."""
        if self.image_size is not None:
            return (self.image_size[0], self.image_size[1])
        return size_for_model(self.trainer)

    def _whole_clips(self) -> bool:
        """Whether the model at hand judges every frame of a clip; a collate function of items needs windows."""
        model = getattr(self.trainer, "lightning_module", None)
        return getattr(model, "judges_whole_clips", False) and self.external_collate_fn is None

    def _split_training(self) -> None:
        """Make training and validation data."""
        videos = self.training_videos()
        _refuse_abnormal(videos)
        videos = self.without_repeats(videos)
        kept, held = hold_out(videos)
        if self.val_split_mode != ValSplitMode.FROM_TRAIN:
            kept = videos
        kept, held = without_gaps(kept, self.train_clip_length), without_gaps(held, self.clip_length_in_frames)
        self.train_data = ClipDataset(
            kept, "train", self.train_clip_length, self.frames_between_clips, frame_rate=self.frame_rate
        )
        if self.val_split_mode == ValSplitMode.SAME_AS_TEST:
            if not hasattr(self, "test_data"):
                msg = "val_split_mode 'same_as_test' needs test videos, and there are none."
                raise FileNotFoundError(msg)
            logger.warning(
                "val_split_mode is 'same_as_test': the threshold is fitted on the test labels, so figures that depend "
                "on it (F1, false alarms) are too good. Use 'from_train' for figures to report."
            )
            self.val_data = self.test_data
            return
        self.val_data = self._clips(_judged_part(held), "val")
        if self.val_split_mode == ValSplitMode.NONE:
            logger.warning(
                "val_split_mode is 'none': scores are calibrated on training videos, so the threshold is too low."
            )

    def _clips(self, videos: list[LabelledVideo], split: str) -> ClipDataset:
        length, context = self.clip_length_in_frames, None
        if self._whole_clips():
            length, context = max(length, self.eval_clip_length), length - 1
        return ClipDataset(videos, split, length, frame_rate=self.frame_rate, context=context)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:  # noqa: ANN401
        """Turn bytes into floats where they are used."""
        moved = super().transfer_batch_to_device(batch, device, dataloader_idx)
        return as_floats(moved) if isinstance(moved, ClipBatch) else moved

    def go_on(self, epoch: int, batches: int) -> None:
        """Let the next training begin after some batches of an epoch, where another was stopped."""
        self._goes_on = epoch, batches

    def train_dataloader(self) -> DataLoader:
        """Training clips, shuffled; batches hold bytes until they are on the device."""
        return self._loader(self.train_data, self.train_batch_size, shuffle=True, repeat=True)

    def val_dataloader(self) -> DataLoader:
        """Normal clips that calibrate the scores."""
        # In the middle of a training all devices must take as many steps; calibration counts a frame once.
        return self._loader(self.val_data, self.eval_batch_size, shuffle=False, repeat=True)

    def test_dataloader(self) -> DataLoader:
        """Every test frame with a full window before it."""
        return self._loader(self.test_data, self.eval_batch_size, shuffle=False, repeat=False)

    def _loader(self, dataset: ClipDataset, batch_size: int, shuffle: bool, repeat: bool) -> DataLoader:
        steps = getattr(self.trainer, "max_steps", -1)
        order = ClipOrder(
            dataset.clips_of_video,
            dataset.frames_between_clips,
            batch_size,
            self.num_workers,
            shuffle,
            self._share(repeat),
            steps * batch_size if steps > 0 else None,
        )
        if shuffle and self._goes_on is not None:
            epoch, batches = self._goes_on
            order.go_on(epoch, batches * batch_size)
            self._goes_on = None
        return DataLoader(
            dataset,
            batch_size=batch_size,  # by keyword: Lightning rebuilds the loader for predictions
            sampler=order,
            num_workers=self.num_workers,
            collate_fn=partial(_of_items, self.external_collate_fn) if self.external_collate_fn else dataset.collate_fn,
            persistent_workers=self.num_workers > 0,
            worker_init_fn=_begin_worker,
        )

    def _share(self, repeat: bool) -> Share:
        """Return which part of the clips this device takes."""
        trainer = self.trainer
        if trainer is None or trainer.world_size == 1:
            return Share()
        seed = trainer.strategy.broadcast(torch.initial_seed())  # devices may have drawn their own
        return Share(trainer.world_size, trainer.global_rank, repeat, seed)


def proportion_of(data: Any) -> float | None:  # noqa: ANN401
    """Return width by height of the training videos of a datamodule; ``None`` where it has none, or several."""
    videos = data.train_data.videos if isinstance(data, ClipData) else []
    sizes = sorted({video.video.source_hw for video in videos})
    shared = common_proportion(sizes)
    if sizes and shared is None:
        shapes = ", ".join(f"{width}x{height}" for height, width in sizes)
        logger.warning("The training videos differ in proportion (%s pixels), and are squashed to one shape.", shapes)
    return shared


def refuse_other_proportions(data: Any, trained_at: float | None) -> None:  # noqa: ANN401
    """Refuse test videos of another proportion than the training video's.

    Raises:
        ValueError: one has it.
    """
    for video in data.test_data.videos if isinstance(data, ClipData) else []:
        refuse_other_proportion(shown(video.video.path), video.video.source_hw, trained_at)


def size_for_model(trainer: Any) -> Size | None:  # noqa: ANN401
    """Return the size that the pre-processor of a trainer's model resizes to; ``None`` without model or such a size."""
    pre_processor = getattr(getattr(trainer, "lightning_module", None), "pre_processor", None)
    resizes: list[Any] = extract_transforms_by_type(getattr(pre_processor, "transform", None), Resize)
    if not resizes or len(resizes[0].size) != 2:  # one number means the shorter edge
        return None
    return (int(resizes[0].size[0]), int(resizes[0].size[1]))


def hold_out(videos: list[LabelledVideo]) -> tuple[list[LabelledVideo], list[LabelledVideo]]:
    """Split normal videos into those to train on and those to calibrate on, by a fixed rule.

    Every sixth video is held out; of two to five videos the last; of one video the last sixth of its frames.
    """
    if len(videos) == 1:
        (only,) = videos
        cut = only.last - max(1, (only.last - only.first) // HOLD_OUT_EVERY)
        return [replace(only, last=cut)], [replace(only, first=cut)]
    held = videos[HOLD_OUT_EVERY - 1 :: HOLD_OUT_EVERY] or videos[-1:]
    return [video for video in videos if video not in held], held


def _judged_part(held: list[LabelledVideo]) -> list[LabelledVideo]:
    """Take as much of what is held out as is judged in minutes."""
    taken = spread(held)
    count, total = (sum(video.last - video.first for video in videos) for videos in (taken, held))
    if count < total:
        logger.info(
            "Of %d frames that are held out, %d are judged, in stretches spread over all of them.", total, count
        )
    return taken


def _refuse_abnormal(videos: list[LabelledVideo]) -> None:
    for video in videos:
        if video.labels is not None and video.labels.any():
            msg = (
                f"Frame {int(video.labels.argmax())} of {video.video.path} is labelled abnormal. STMem learns from "
                "normal video only: remove the abnormal videos from the training folder."
            )
            raise ValueError(msg)


def _begin_worker(_worker: int) -> None:
    cv2.setNumThreads(0)  # the processes are the parallelism
    info = get_worker_info()
    if info is not None:
        info.dataset.forget_decoded()  # type: ignore[attr-defined]  # decoders of the parent are not this process's


def _of_items(collate: Callable, batch: Any) -> Any:  # noqa: ANN401
    return collate(as_floats(batch).items)
