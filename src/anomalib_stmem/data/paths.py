"""Whatever path a user names: one video file, a folder of images, a folder of videos. To be judged, without labels."""

from pathlib import Path
from typing import Any, NoReturn

from ..video.finding import videos_at
from .datamodule import ClipData
from .labels import LabelledVideo, whole


class VideoPaths(ClipData):
    """What ``anomalib predict --data PATH`` judges with STMem.

    Args:
        path: a video file, a folder of images, or a folder of such, as deep as you like.
        **reading: options of :class:`ClipData`.
    """

    def __init__(self, path: Path | str, **reading: Any) -> None:  # noqa: ANN401
        super().__init__(**reading)
        self.root = Path(path)

    def test_videos(self) -> list[LabelledVideo]:
        """Open the videos.

        Raises:
            FileNotFoundError: there is no such path, or no video under it.
            ValueError: the file is no video.
        """
        paths = videos_at(self.root)
        videos = self.open_videos(list(paths.values()))
        return [whole(name, video) for name, video in zip(paths, videos, strict=True)]

    def training_videos(self) -> NoReturn:
        """Refuse: these are only judged.

        Raises:
            TypeError: always.
        """
        msg = "A path is for `anomalib predict`. Train with --data VideoFolder --data.root ..."
        raise TypeError(msg)
