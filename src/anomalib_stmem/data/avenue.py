"""CUHK Avenue in the official layout, under either of its label sets."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy.io
from anomalib.utils.path import resolve_dataset_root

from ..video.finding import find_videos
from ..video.recorded import Video
from .labels import LabelledVideo, Labels, mark, split_labels, whole
from .masks import Masks, open_masks
from .standard import StandardData


class AvenueClips(StandardData):
    """CUHK Avenue in the official layout, which is also that of anomalib's ``Avenue``.

    The tree::

        root/training_videos/01.avi ...                                  16 videos
        root/testing_videos/01.avi ...                                   21 videos
        root/ground_truth_demo/testing_label_mask/1_label.mat ...        volLabel: one mask per frame
        root/avenue.mat                                                  only for label_set "frames"

    Two label sets are in use, which differ in 441 of 15,324 frames, and figures under one cannot be compared with
    figures under the other: ``pixels`` (any pixel of the mask; HF2-VAD, DMAD, anomalib) and ``frames`` (the intervals
    that Liu et al. 2018 published as ``avenue.mat``; MNAD, MPN and most prediction methods).

    Args:
        root: folder of the dataset; by default ``avenue`` in anomalib's datasets folder.
        gt_dir: folder that holds ``testing_label_mask``; by default ``ground_truth_demo`` in the root.
        labels: ``pixels`` or ``frames``.
        label_file: of ``frames``: ``avenue.mat`` (``gt``: per video a 2 x n matrix of starts and ends, from 1), or a
            ``.npy`` with a 0/1 for every frame of the 21 test videos. Relative to the root.
        **reading: options of :class:`ClipData`.
    """

    title = "CUHK Avenue"
    source = "http://www.cse.cuhk.edu.hk/leojia/projects/detectabnormal/dataset.html"

    def __init__(
        self,
        root: Path | str | None = None,
        gt_dir: Path | str | None = None,
        labels: Literal["pixels", "frames"] = "pixels",
        label_file: Path | str = "avenue.mat",
        **reading: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**reading)
        self.root = resolve_dataset_root(root, "avenue")
        self.gt_dir = Path(gt_dir) if gt_dir else self.root / "ground_truth_demo"
        if labels not in {"pixels", "frames"}:
            msg = f"labels must be 'pixels' or 'frames'; got {labels!r}."
            raise ValueError(msg)
        self.labels, self.label_file = labels, label_file

    def training_videos(self) -> list[LabelledVideo]:
        """Take ``training_videos/*.avi``."""
        return [
            whole(name, video, np.zeros(video.num_frames, bool))
            for name, video in self._videos("training_videos", "the training videos").items()
        ]

    def test_videos(self) -> list[LabelledVideo]:
        """Take ``testing_videos/*.avi`` with their masks and, if asked for, the other labels."""
        videos = self._videos("testing_videos", "the test videos")
        masks = self._masks()
        for name in videos:
            if int(name) not in masks:
                self.need(self.gt_dir / "testing_label_mask" / f"{int(name)}_label.mat", f"the masks of video {name}")
        if self.labels == "pixels":
            self.label_set = "pixels: any pixel of the mask"
            return [whole(name, video, masks=masks[int(name)]) for name, video in videos.items()]
        labels = self._frame_labels({number: len(masks[number]) for number in sorted(masks)})
        self.label_set = f"frames: intervals of {Path(self.label_file).name}"
        return [whole(name, video, labels[int(name)], masks[int(name)]) for name, video in videos.items()]

    def _videos(self, folder: str, what: str) -> dict[str, Video]:
        paths = find_videos(self.need(self.root / folder, what))
        return dict(zip((path.stem for path in paths), self.open_videos(paths), strict=True))

    def _masks(self) -> dict[int, Masks]:
        """Open the masks by number of the test video: a folder of images beside the ``.mat`` wins, as in anomalib."""
        folder = self.need(self.gt_dir / "testing_label_mask", "the masks of the test videos")
        masks = {}
        for path in folder.glob("*_label.mat"):
            images = path.with_suffix("")
            masks[int(path.stem.removesuffix("_label"))] = open_masks(images if images.is_dir() else path)
        return masks

    def _frame_labels(self, counts: dict[int, int]) -> dict[int, Labels]:
        """Load the labels of all test videos that have masks, whose number of frames the masks know."""
        path = self.need(self.root / self.label_file, 'the file of label set "frames" (--data.label_file)')
        if path.suffix == ".npy":
            return {
                int(name): labels for name, labels in split_labels(path, {str(n): c for n, c in counts.items()}).items()
            }
        content = scipy.io.loadmat(path)
        if "gt" not in content:
            msg = f"{path} does not hold 'gt'. Expected the avenue.mat of Liu et al. 2018."
            raise ValueError(msg)
        stretches = [np.asarray(cell).reshape(2, -1).T for cell in content["gt"].ravel()]
        if len(stretches) < max(counts):
            msg = f"{path} has intervals of {len(stretches)} videos, but there are masks of video {max(counts)}."
            raise ValueError(msg)
        return {
            number: mark(count, [(int(a), int(b)) for a, b in stretches[number - 1]], f"{path}, video {number}")
            for number, count in counts.items()
        }
