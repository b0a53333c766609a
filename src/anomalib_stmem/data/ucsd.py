"""UCSD Ped1 and Ped2 in the official layout."""

import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
from anomalib.utils.path import resolve_dataset_root

from ..video.finding import list_images
from .labels import LabelledVideo, Labels, mark, whole
from .masks import MaskImages
from .standard import StandardData


class UCSDClips(StandardData):
    """UCSD pedestrians in the official layout, which is also that of anomalib's ``UCSDped``.

    The tree::

        root/UCSDped2/Train/Train001/001.tif ...
        root/UCSDped2/Test/Test001/001.tif ...
        root/UCSDped2/Test/Test001_gt/001.bmp ...     any name; one mask per frame, in natural order
        root/UCSDped2/Test/UCSDped2.m                 abnormal stretches of every clip, counted from 1

    Clips with masks are labelled by any pixel of them. Clips without (most of Ped1's 36) are labelled by the ``.m``
    file and take no part in the pixel metrics. ``root`` may also be the ``UCSDped2`` folder itself.

    Args:
        root: folder that holds ``UCSDped1`` and ``UCSDped2``; by default ``ucsd`` in anomalib's datasets folder.
        category: ``UCSDped1`` (34 training clips) or ``UCSDped2`` (16).
        frame_rate: 10 frames per second, as recorded.
        **reading: options of :class:`ClipData`.
    """

    title = "UCSD pedestrians"
    source = "http://www.svcl.ucsd.edu/projects/anomaly/dataset.htm"

    def __init__(
        self,
        root: Path | str | None = None,
        category: Literal["UCSDped1", "UCSDped2"] = "UCSDped2",
        frame_rate: float = 10.0,
        **reading: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(frame_rate=frame_rate, **reading)
        self.root = resolve_dataset_root(root, "ucsd")
        self.ucsd_category = category

    def training_videos(self) -> list[LabelledVideo]:
        """Take ``Train/Train001`` and so on."""
        folders = self._clip_folders("Train")
        videos = self.open_videos(folders)
        return [
            whole(path.name, video, np.zeros(video.num_frames, bool))
            for path, video in zip(folders, videos, strict=True)
        ]

    def test_videos(self) -> list[LabelledVideo]:
        """Take ``Test/Test001`` and so on, with masks or the ``.m`` file's stretches."""
        folders = self._clip_folders("Test")
        stretches = read_stretches(self._folder() / "Test" / f"{self.ucsd_category}.m")
        found = []
        for folder, video in zip(folders, self.open_videos(folders), strict=True):
            masks = folder.with_name(f"{folder.name}_gt")
            if masks.is_dir() and list_images(masks):
                found.append(whole(folder.name, video, masks=MaskImages(masks)))
            else:
                found.append(whole(folder.name, video, self._labels(folder, video.num_frames, stretches)))
        self.label_set = "any pixel of the mask; clips without masks by the .m file"
        return found

    def _folder(self) -> Path:
        if self.root.name == self.ucsd_category and not (self.root / self.ucsd_category).is_dir():
            return self.root
        return self.need(self.root / self.ucsd_category, "its folder")

    def _clip_folders(self, split: str) -> list[Path]:
        folder = self.need(self._folder() / split, f"the folder of {split.lower()} clips")
        clips = sorted(path for path in folder.glob(f"{split}[0-9][0-9][0-9]") if list_images(path))
        if not clips:
            self.need(folder / f"{split}001" / "001.tif", "frames")
        return clips

    def _labels(self, folder: Path, count: int, stretches: dict[int, list[tuple[int, int]]]) -> Labels:
        number = int(folder.name.removeprefix("Test"))
        annotation = self._folder() / "Test" / f"{self.ucsd_category}.m"
        if number not in stretches:
            msg = (
                f"{folder} has neither masks ({folder.name}_gt) nor an entry in {annotation}. Restore one of them from "
                f"{self.source}, or remove the clip."
            )
            raise FileNotFoundError(msg)
        return mark(count, stretches[number], f"{annotation}, clip {number}")


def read_stretches(path: Path) -> dict[int, list[tuple[int, int]]]:
    """Read UCSD's annotation: lines such as ``TestVideoFile{end+1}.gt_frame = [5:90, 140:200];``.

    Returns:
        Stretches of each clip, numbered from 1; frames counted from 1, both ends included. Empty without the file.

    Raises:
        ValueError: an entry is not a list of stretches.
    """
    if not path.is_file():
        return {}
    stretches = {}
    entries = re.findall(r"gt_frame\s*=\s*\[(.*?)\]", path.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    for number, entry in enumerate(entries, start=1):
        parts = re.split(r"[,;\s]+", re.sub(r"\s*:\s*", ":", entry.strip()))
        pairs = [re.fullmatch(r"(\d+)(?::(\d+))?", part) for part in parts if part]
        if not all(pairs):
            msg = (
                f"{path}, clip {number}: cannot read the stretches [{entry.strip()}]. Expected such as [5:90, 140:200]."
            )
            raise ValueError(msg)
        stretches[number] = [(int(pair[1]), int(pair[2] or pair[1])) for pair in pairs if pair]
    return stretches
