"""Checkpoints of a trainer appear when they are whole and on the disk, and are loaded when they still are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.fabric.plugins import CheckpointIO

from ..model.checkpoint import refuse_broken, save
from ..results.files import whole_file
from ..video.damaged_files import refuse_damaged


class WholeCheckpoints(CheckpointIO):
    """Saves beside the final name, and loads what is not damaged; everything else is left to another one.

    Lightning's own writes to the temporary folder and moves the file. Where that lies on another disk, the move is a
    copy: what breaks it off leaves a cut file under the final name, in place of the good one of before.

    Args:
        other: that loads, and saves to what is no path.
    """

    def __init__(self, other: CheckpointIO) -> None:
        self._other = other

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Path | str, storage_options: Any | None = None) -> None:
        """Write a checkpoint.

        Raises:
            OSError: the disk takes no more; what was there before is there still.
        """
        if "://" in str(path):
            self._other.save_checkpoint(checkpoint, path, storage_options)
            return
        with whole_file(Path(path)) as part:
            save(checkpoint, part)

    def load_checkpoint(self, path: Path | str, map_location: Callable | None = None, **options: Any) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            ValueError: it is damaged; the message names it.
            FileNotFoundError: it is not there.
        """
        if not Path(path).is_file():
            return self._other.load_checkpoint(path, map_location, **options)
        refuse_broken(path)
        with refuse_damaged(Path(path), "checkpoint of STMem"):
            return self._other.load_checkpoint(path, map_location, **options)

    def remove_checkpoint(self, path: Path | str) -> None:
        """As the other one."""
        self._other.remove_checkpoint(path)
