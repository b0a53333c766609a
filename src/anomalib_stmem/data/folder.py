"""Videos in a folder: the layout of the field's code, and your own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..video.finding import find_videos
from ..video.names import video_name
from ..video.recorded import Video
from .datamodule import ClipData
from .labels import LabelledVideo, Labels, load_intervals, load_labels, split_labels, whole
from .masks import Masks, open_masks

TRAIN_FOLDERS = ("training/frames", "training/videos", "training", "train", "normal")
TEST_FOLDERS = ("testing/frames", "testing/videos", "testing", "test")
MASK_FOLDERS = ("testing/masks", "testing/test_pixel_mask")
LABEL_FILES = ("testing/frame_labels.npy", "testing/test_frame_mask", "labels.csv", "frame_labels.npy")


class VideoFolder(ClipData):
    """Videos of a fixed camera in one folder.

    The layout that the field's code uses for Ped2, Avenue and ShanghaiTech is found without options::

        root/training/frames/01/000.jpg ...      one folder of images per normal video
        root/testing/frames/01/000.jpg ...       one folder of images per test video
        root/testing/masks/01/000.png ...        optional: 0 normal, above 0 abnormal, one per frame
        root/testing/frame_labels.npy            optional: one 0/1 per frame, videos in order

    Your own videos may lie in ``root/normal`` and ``root/test``, or anywhere that ``train_dir`` and ``test_dir`` say::

        my_videos/normal/gate/monday.mp4         files or folders of images, as deep as you like
        my_videos/test/gate/friday.mp4           named by its path: gate/friday
        my_videos/labels.csv                     optional: video,start,end; frames from 0, both ends abnormal

    Videos are taken in natural order (2 before 10). Without masks and labels, test videos can be predicted but not
    tested.

    Args:
        root: folder of the dataset; the other paths are relative to it.
        train_dir: folder of normal videos. Defaults to the first of ``training/frames``, ``training/videos``,
            ``training``, ``train``, ``normal`` that exists.
        test_dir: folder of test videos. Defaults to the first of ``testing/frames``, ``testing/videos``, ``testing``,
            ``test`` that exists.
        mask_dir: masks of the test videos: per video a folder of images or a ``.npy`` file ``(n, h, w)``, under the
            video's name. Defaults to ``testing/masks`` or ``testing/test_pixel_mask``.
        label_file: labels of the test videos: a ``.npy`` file of all frames, videos in order; a folder with a ``.npy``
            file per video; or a ``.csv`` file of intervals. Defaults to ``testing/frame_labels.npy``,
            ``testing/test_frame_mask``, ``labels.csv`` or ``frame_labels.npy``. Where labels and masks are both given,
            labels come from the file and masks serve the pixel metrics.
        **reading: options of :class:`ClipData`.
    """

    def __init__(
        self,
        root: Path | str,
        train_dir: Path | str | None = None,
        test_dir: Path | str | None = None,
        mask_dir: Path | str | None = None,
        label_file: Path | str | None = None,
        **reading: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**reading)
        self.root = Path(root)
        self.train_dir, self.test_dir, self.mask_dir, self.label_file = train_dir, test_dir, mask_dir, label_file

    def training_videos(self) -> list[LabelledVideo]:
        """Take the normal videos; a label file beside them must agree that they are."""
        videos = self._open(self.train_dir, TRAIN_FOLDERS, "normal videos to train on", "train_dir")
        label_file = self.root / "training" / "frame_labels.npy"
        if label_file.is_file():
            labels = split_labels(label_file, {name: video.num_frames for name, video in videos.items()})
            return [whole(name, video, labels[name]) for name, video in videos.items()]
        return [whole(name, video, np.zeros(video.num_frames, bool)) for name, video in videos.items()]

    def test_videos(self) -> list[LabelledVideo]:
        """Take the videos to judge, with the labels and masks that are found."""
        videos = self._open(self.test_dir, TEST_FOLDERS, "videos to judge", "test_dir")
        labels, masks = self._labels(videos), self._masks(videos)
        return [whole(name, video, labels.get(name), masks.get(name)) for name, video in videos.items()]

    def has_test_videos(self) -> bool:
        """Whether a folder of test videos exists."""
        return self._folder(self.test_dir, TEST_FOLDERS) is not None

    def _labels(self, videos: dict[str, Video]) -> dict[str, Labels]:
        path = self._truth(self.label_file, LABEL_FILES)
        if path is None:
            self.label_set = "any pixel of the mask"
            return {}
        self.label_set = f"frame labels of {path.name}"
        counts = {name: video.num_frames for name, video in videos.items()}
        if path.is_dir():
            return {name: load_labels(path / f"{name}.npy") for name in videos}
        return load_intervals(path, counts) if path.suffix == ".csv" else split_labels(path, counts)

    def _masks(self, videos: dict[str, Video]) -> dict[str, Masks]:
        folder = self._truth(self.mask_dir, MASK_FOLDERS)
        if folder is None:
            return {}
        masks = {}
        for name in videos:
            found = [path for path in (folder / name, folder / f"{name}.npy", folder / f"{name}.mat") if path.exists()]
            if not found:
                msg = f"No masks for video {name} in {folder}. Expected a folder {folder / name} or a file {name}.npy."
                raise FileNotFoundError(msg)
            masks[name] = open_masks(found[0])
        return masks

    def _open(self, chosen: Path | str | None, usual: Sequence[str], purpose: str, option: str) -> dict[str, Video]:
        folder = self._folder(chosen, usual)
        if folder is None:
            msg = (
                f"No folder with {purpose} in {self.root.resolve()}. Looked for {', '.join(usual)}. "
                f"Name yours with --data.{option}."
            )
            raise FileNotFoundError(msg)
        paths = find_videos(folder)
        return dict(zip((video_name(path, folder) for path in paths), self.open_videos(paths), strict=True))

    def _folder(self, chosen: Path | str | None, usual: Sequence[str]) -> Path | None:
        if chosen is not None:
            return self.root / chosen
        return next((self.root / name for name in usual if (self.root / name).is_dir()), None)

    def _truth(self, chosen: Path | str | None, usual: Sequence[str]) -> Path | None:
        """Return where the truth lies. The usual places belong to the usual test videos, not to another folder."""
        if chosen is not None:
            path = self.root / chosen
            if not path.exists():
                msg = f"There is no {path}, which --data.label_file or --data.mask_dir names."
                raise FileNotFoundError(msg)
            return path
        if self._folder(self.test_dir, TEST_FOLDERS) != self._folder(None, TEST_FOLDERS):
            return None
        return next((self.root / name for name in usual if (self.root / name).exists()), None)
