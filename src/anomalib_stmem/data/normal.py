"""Normal video of a camera, as much as there is: a budget of minutes out of all of it is learned from."""

import logging
import os
import shutil
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NoReturn

from ..video.finding import videos_at
from ..video.names import shown
from .datamodule import ClipData
from .labels import LabelledVideo, whole
from .sampled import sampled

logger = logging.getLogger(__name__)


class NormalVideos(ClipData):
    """Normal video to learn a camera from, of which some minutes are taken, in stretches spread over all of it.

    So ten hours of video cost what ten minutes cost. The frames are chosen as ``stmem watch`` chooses them, and lie
    decoded on disk while the training runs: ``60 * minutes * rate * h * w * 3`` bytes.

    Args:
        videos: video files, folders of pictures, or folders of either.
        minutes: to take of all of them together.
        rate: frames per second, as near as every n-th frame comes to it. 12.5 is as good as 25, at half the cost
            (``docs/results.md``).
        **reading: options of :class:`ClipData`.
    """

    def __init__(
        self,
        videos: str | Sequence[str],
        minutes: float = 15.0,
        rate: float = 12.5,
        **reading: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**reading)
        for name, value in (("minutes", minutes), ("rate", rate)):
            if value <= 0:
                msg = f"{name} must be above 0; got {value}."
                raise ValueError(msg)
        self.videos = [videos] if isinstance(videos, str) else list(videos)
        self.root = Path(self.videos[0])
        self.minutes, self.rate = minutes, rate
        self.too_short: list[Path] = []  # videos that are left out

    def training_videos(self) -> list[LabelledVideo]:
        """Take the minutes.

        Raises:
            FileNotFoundError: there is no such path, or no video under it.
            ValueError: a file is no video.
            OSError: there is no room for the frames.
        """
        paths = [path for given in self.videos for path in videos_at(Path(given)).values()]
        if self.cache_dir is not None:
            self.cache_dir.mkdir(parents=True, exist_ok=True)
        folder = Path(mkdtemp(prefix="stmem-", dir=self.cache_dir))
        weakref.finalize(self, _remove, folder, os.getpid())
        taken = list(sampled(paths, folder, self._wanted_size(), self.minutes, self.rate, self.frame_rate))
        long = [video for video in taken if video.num_frames >= self.train_clip_length]
        if not long:
            msg = (
                f"No video has {self.train_clip_length} frames that differ; the longest, "
                f"{shown(max(taken, key=lambda video: video.num_frames).path)}, has "
                f"{max(video.num_frames for video in taken)}. Give longer videos."
            )
            raise ValueError(msg)
        self.too_short = [video.path for video in taken if video not in long]
        for path in self.too_short:
            logger.warning("%s has fewer than %d frames, and is left out.", shown(path), self.train_clip_length)
        return [replace(whole(str(video.path), video), share=video.share) for video in long]

    def without_repeats(self, videos: list[LabelledVideo]) -> list[LabelledVideo]:
        """Keep all: they were chosen without repeats."""
        return videos

    def has_test_videos(self) -> bool:
        """Say that there are none."""
        return False

    def test_videos(self) -> NoReturn:
        """Refuse: these are only learned from.

        Raises:
            TypeError: always.
        """
        msg = (
            "NormalVideos are to learn from. Test with --data VideoFolder --data.root ..., or judge with `stmem watch`."
        )
        raise TypeError(msg)


def _remove(folder: Path, owner: int) -> None:
    """Remove the decoded frames, in the process that made them and not in its workers."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
