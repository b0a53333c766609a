"""ShanghaiTech Campus in the official layout: all scenes together, or some."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from anomalib.utils.path import resolve_dataset_root

from ..video.finding import find_videos
from ..video.recorded import Video
from .labels import LabelledVideo, load_labels, whole
from .masks import open_masks
from .standard import StandardData

NUM_SCENES = 13


class ShanghaiTechClips(StandardData):
    """ShanghaiTech Campus in the official layout, which is also that of anomalib's ``ShanghaiTech``.

    The tree::

        root/training/videos/01_001.avi ...              or converted_videos, or frames; 330 videos
        root/testing/frames/01_0014/000.jpg ...          107 videos
        root/testing/test_frame_mask/01_0014.npy ...     0/1 per frame
        root/testing/test_pixel_mask/01_0014.npy ...     (frames, height, width)

    Papers train and test on all 13 scenes together, which is the default here; anomalib's takes one. The frames of
    every test video are counted against its label file. Without pixel masks, the pixel metrics are left out.

    Args:
        root: folder of the dataset; by default ``shanghaitech`` in anomalib's datasets folder.
        scenes: numbers of the scenes, 1 to 13, to train and test on; ``None`` takes all.
        frame_rate: 24 frames per second, as recorded.
        **reading: options of :class:`ClipData`.

    Raises:
        ValueError: a scene outside 1 to 13.
    """

    title = "ShanghaiTech Campus"
    source = "https://svip-lab.github.io/dataset/campus_dataset.html"

    def __init__(
        self,
        root: Path | str | None = None,
        scenes: Sequence[int] | None = None,
        frame_rate: float = 24.0,
        **reading: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(frame_rate=frame_rate, **reading)
        self.root = resolve_dataset_root(root, "shanghaitech")
        if scenes is not None and (not scenes or not set(scenes) <= set(range(1, NUM_SCENES + 1))):
            msg = f"scenes must be numbers from 1 to {NUM_SCENES}; got {list(scenes)}."
            raise ValueError(msg)
        self.scenes = None if scenes is None else sorted(scenes)

    def training_videos(self) -> list[LabelledVideo]:
        """Take the training videos of the scenes."""
        kinds = [self.root / "training" / name for name in ("converted_videos", "videos", "frames")]
        folder = next((kind for kind in kinds if kind.is_dir()), kinds[1])
        videos = self._videos(folder, "the training videos")
        return [whole(name, video, np.zeros(video.num_frames, bool)) for name, video in videos.items()]

    def test_videos(self) -> list[LabelledVideo]:
        """Take the test videos of the scenes with their labels and masks."""
        testing = self.root / "testing"
        videos = self._videos(testing / "frames", "the frames of the test videos")
        labels = self.need(testing / "test_frame_mask", "the frame labels")
        masks = testing / "test_pixel_mask"
        self.label_set = "test_frame_mask" + ("" if self.scenes is None else f", scenes {self.scenes}")
        return [
            whole(
                name,
                video,
                load_labels(self.need(labels / f"{name}.npy", f"the labels of video {name}")),
                open_masks(self.need(masks / f"{name}.npy", f"the masks of video {name}")) if masks.is_dir() else None,
            )
            for name, video in videos.items()
        ]

    def _videos(self, folder: Path, what: str) -> dict[str, Video]:
        paths = [path for path in find_videos(self.need(folder, what)) if self._is_chosen(path)]
        if not paths:
            msg = f"{folder} holds no video of the scenes {self.scenes}. Names begin with the scene: 01_001."
            raise FileNotFoundError(msg)
        return dict(zip((path.stem for path in paths), self.open_videos(paths), strict=True))

    def _is_chosen(self, path: Path) -> bool:
        return self.scenes is None or path.stem.split("_")[0] in {f"{scene:02d}" for scene in self.scenes}
