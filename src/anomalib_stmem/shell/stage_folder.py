"""Where the files of one test or prediction go: a folder of its own, which all who write share."""

from pathlib import Path

from lightning.pytorch import Trainer

from ..results.files import SCORES, UNFINISHED, new_folder


class StageFolder:
    """``test`` or ``predict`` in the folder of the run, or ``test_2`` and so on where an earlier run was.

    All callbacks of a run share one, so that they write into one folder.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None

    def of(self, trainer: Trainer) -> Path:
        """Return the folder, which is made when it is first asked for."""
        if self._folder is None:
            stage = "test" if trainer.testing else "predict"
            self._folder = new_folder(Path(trainer.default_root_dir) / stage, SCORES + UNFINISHED, SCORES)
        return self._folder
