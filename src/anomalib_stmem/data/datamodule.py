"""From a folder of videos to training, validation and test clips."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from anomalib.data.datamodules.base.video import AnomalibVideoDataModule
from anomalib.data.utils import ValSplitMode
from lightning.pytorch.trainer.states import TrainerFn
from torch.utils.data import DataLoader

from .clips import ClipDataset
from .frames import Video, find_videos, open_video
from .labels import LabelledVideo, find_masks, load_labels

logger = logging.getLogger(__name__)

TRAIN_FOLDERS = ("training/frames", "training", "train", "normal")
TEST_FOLDERS = ("testing/frames", "testing", "test")
HOLD_OUT_EVERY = 6  # videos; a fixed rule, because a random one would differ between runs and devices


class VideoFolder(AnomalibVideoDataModule):
    """Videos of a fixed camera in one folder: normal ones to train on, others to judge.

    The layout that the field uses for Ped2, Avenue and ShanghaiTech is found without options::

        root/training/frames/01/000.jpg ...      one folder of images per normal video
        root/testing/frames/01/000.jpg ...       one folder of images per test video
        root/testing/masks/01/000.png ...        optional: 0 normal, above 0 abnormal, one per frame
        root/testing/frame_labels.npy            optional: one 0/1 per frame, videos in order

    A video may be a video file instead of a folder, and your own videos may lie in ``root/normal`` and ``root/test``,
    or anywhere that ``train_dir`` and ``test_dir`` say. Videos are taken in natural order (2 before 10). Without masks
    and labels, test videos can be predicted but not tested.

    Validation data is normal, and calibrates the scores. By default every sixth training video is held out for it (the
    last one if there are fewer; the last sixth of the frames if there is one).

    Args:
        root: folder of the dataset; the other paths are relative to it.
        train_dir: folder of normal videos. Defaults to the first of ``training/frames``, ``training``, ``train``,
            ``normal`` that exists.
        test_dir: folder of test videos. Defaults to the first of ``testing/frames``, ``testing``, ``test`` that exists.
        mask_dir: folder of masks of the test videos. Defaults to ``testing/masks`` where it exists.
        label_file: ``.npy`` labels of the test videos. Defaults to ``testing/frame_labels.npy`` where it exists. Where
            both are given, labels come from the file and masks serve the pixel metrics.
        clip_length_in_frames: frames per judged clip: the model's ``window`` + 1.
        frames_between_clips: stride between training clips. Test clips always have stride 1: every frame is judged.
        train_clip_length: frames per training clip. Longer ones encode each frame fewer times and give the same
            loss per frame. Defaults to ``clip_length_in_frames``.
        train_batch_size: clips per training step.
        eval_batch_size: clips per validation, test or prediction step.
        num_workers: processes that read clips.
        val_split_mode: ``from_train`` (held-out normal videos, the default), ``same_as_test`` (thresholds then come
            from test labels) or ``none`` (trains on everything, and calibrates on every sixth video although trained on
            it, which makes the threshold too low).
        cache_dir: where decoded video files are kept; by default in the user's cache folder.

    Raises:
        ValueError: another ``val_split_mode``.
    """

    train_data: ClipDataset
    val_data: ClipDataset
    test_data: ClipDataset

    def __init__(
        self,
        root: Path | str,
        train_dir: Path | str | None = None,
        test_dir: Path | str | None = None,
        mask_dir: Path | str | None = None,
        label_file: Path | str | None = None,
        clip_length_in_frames: int = 6,
        frames_between_clips: int = 1,
        train_clip_length: int | None = None,
        train_batch_size: int = 8,
        eval_batch_size: int = 8,
        num_workers: int = 2,
        val_split_mode: ValSplitMode | str = ValSplitMode.FROM_TRAIN,
        cache_dir: Path | str | None = None,
    ) -> None:
        super().__init__(train_batch_size, eval_batch_size, num_workers, val_split_mode=val_split_mode)
        allowed = (ValSplitMode.FROM_TRAIN, ValSplitMode.SAME_AS_TEST, ValSplitMode.NONE)
        if self.val_split_mode not in allowed:
            msg = f"val_split_mode must be one of {[mode.value for mode in allowed]}; got {val_split_mode!r}."
            raise ValueError(msg)
        self.root = Path(root)
        self.train_dir, self.test_dir, self.mask_dir, self.label_file = train_dir, test_dir, mask_dir, label_file
        self.clip_length_in_frames = clip_length_in_frames
        self.frames_between_clips = frames_between_clips
        self.train_clip_length = train_clip_length or clip_length_in_frames
        self.cache_dir = None if cache_dir is None else Path(cache_dir)

    def setup(self, stage: str | None = None) -> None:
        """Read what the stage needs, once; anomalib's own would set up all parts and split them again."""
        self._setup(stage)
        self._update_augmentations()

    def _setup(self, _stage: str | None = None) -> None:
        judging = _stage in {TrainerFn.TESTING, TrainerFn.PREDICTING, "test", "predict"}
        if not hasattr(self, "test_data") and (judging or self._folder(self.test_dir, TEST_FOLDERS) is not None):
            self.test_data = self._clips(self._test_videos(), "test")
        if not hasattr(self, "train_data") and not judging:
            self._split_training()

    def _split_training(self) -> None:
        """Make training and validation data."""
        stretches = self._training_videos()
        kept, held = hold_out(stretches)
        if self.val_split_mode != ValSplitMode.FROM_TRAIN:
            kept = stretches
        self.train_data = ClipDataset(kept, "train", self.train_clip_length, self.frames_between_clips)
        if self.val_split_mode == ValSplitMode.SAME_AS_TEST:
            if not hasattr(self, "test_data"):
                msg = f"val_split_mode 'same_as_test' needs test videos, and none are in {self.root}."
                raise FileNotFoundError(msg)
            self.val_data = self.test_data
            return
        self.val_data = self._clips(held, "val")
        if self.val_split_mode == ValSplitMode.NONE:
            logger.warning(
                "val_split_mode is 'none': scores are calibrated on training videos, so the threshold is too low."
            )

    def _training_videos(self) -> list[LabelledVideo]:
        videos = self._open(self.train_dir, TRAIN_FOLDERS, "normal videos to train on", "train_dir")
        label_file = self.root / "training" / "frame_labels.npy"
        if label_file.is_file():
            for video, labels in zip(videos, load_labels(label_file, videos), strict=True):
                if labels.any():
                    frame = int(labels.argmax())
                    msg = (
                        f"{label_file} marks frame {frame} of {video.path} as abnormal. STMem learns from normal video "
                        "only: remove the abnormal videos from the training folder."
                    )
                    raise ValueError(msg)
        return [_whole(video, normal=True) for video in videos]

    def _test_videos(self) -> list[LabelledVideo]:
        videos = self._open(self.test_dir, TEST_FOLDERS, "videos to judge", "test_dir")
        mask_dir = self._optional(self.mask_dir, "testing/masks")
        label_file = self._optional(self.label_file, "testing/frame_labels.npy")
        masks = find_masks(mask_dir, videos) if mask_dir else [None] * len(videos)
        labels = load_labels(label_file, videos) if label_file else [None] * len(videos)
        return [
            LabelledVideo(video, 0, video.num_frames, of_frames, of_pixels)
            for video, of_frames, of_pixels in zip(videos, labels, masks, strict=True)
        ]

    def _open(self, chosen: Path | str | None, usual: Sequence[str], purpose: str, option: str) -> list[Video]:
        folder = self._folder(chosen, usual)
        if folder is None:
            msg = (
                f"No folder with {purpose} in {self.root.resolve()}. Looked for {', '.join(usual)}. "
                f"Name yours with --data.{option}."
            )
            raise FileNotFoundError(msg)
        return [open_video(path, self.cache_dir) for path in find_videos(folder)]

    def _folder(self, chosen: Path | str | None, usual: Sequence[str]) -> Path | None:
        if chosen is not None:
            return self.root / chosen
        return next((self.root / name for name in usual if (self.root / name).is_dir()), None)

    def _optional(self, chosen: Path | str | None, usual: str) -> Path | None:
        if chosen is not None:
            return self.root / chosen
        # The usual truth belongs to the usual test videos, not to a folder chosen by hand.
        return self.root / usual if self.test_dir is None and (self.root / usual).exists() else None

    def _clips(self, videos: list[LabelledVideo], split: str) -> ClipDataset:
        return ClipDataset(videos, split, self.clip_length_in_frames)

    def train_dataloader(self) -> DataLoader:
        """Training clips, shuffled."""
        return self._loader(self.train_data, self.train_batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        """Normal clips that calibrate the scores."""
        return self._loader(self.val_data, self.eval_batch_size)

    def test_dataloader(self) -> DataLoader:
        """Every test frame with a full window before it, in order."""
        return self._loader(self.test_data, self.eval_batch_size)

    def _loader(self, dataset: ClipDataset, batch_size: int, **options: Any) -> DataLoader:  # noqa: ANN401
        return DataLoader(
            dataset,
            batch_size=batch_size,  # by keyword: Lightning rebuilds the loader for predictions
            num_workers=self.num_workers,
            collate_fn=self.external_collate_fn or dataset.collate_fn,
            persistent_workers=self.num_workers > 0,
            worker_init_fn=_one_thread,
            **options,
        )


def hold_out(videos: list[LabelledVideo]) -> tuple[list[LabelledVideo], list[LabelledVideo]]:
    """Split normal videos into those to train on and those to calibrate on, by a fixed rule.

    Every sixth video is held out; of two to five videos the last; of one video the last sixth of its frames.
    """
    if len(videos) == 1:
        (only,) = videos
        cut = only.last - max(1, (only.last - only.first) // HOLD_OUT_EVERY)
        before = LabelledVideo(only.video, only.first, cut, only.labels, only.masks)
        return [before], [LabelledVideo(only.video, cut, only.last, only.labels, only.masks)]
    held = videos[HOLD_OUT_EVERY - 1 :: HOLD_OUT_EVERY] or videos[-1:]
    return [video for video in videos if video not in held], held


def _whole(video: Video, normal: bool) -> LabelledVideo:
    return LabelledVideo(video, 0, video.num_frames, np.zeros(video.num_frames, bool) if normal else None)


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(0)  # the processes are the parallelism
