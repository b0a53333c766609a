"""The drawn walkway as a datamodule like any other."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from anomalib.utils.path import resolve_dataset_root

from .folder import VideoFolder
from .scene import FRAMES_PER_SECOND, write_scene

SCENE_VERSION = "1"  # of the drawing; raise it when scene.py changes what it draws


class WalkwayDemo(VideoFolder):
    """The built-in demo scene: :mod:`anomalib_stmem.data.scene` drawn to disk once, then read like any videos.

    Args:
        root: where the scene is kept; by default ``walkway`` in anomalib's datasets folder. Drawn again if incomplete.
        scene_seed: of the drawing.
        frames_between_clips: stride between training clips.
        train_clip_length: frames per training clip.
        train_batch_size: clips per training step.
        eval_batch_size: clips per validation, test or prediction step.
        frame_rate: frames per second that the scene is drawn for.
        **reading: other options of :class:`~.datamodule.ClipData`.
    """

    def __init__(
        self,
        root: Path | str | None = None,
        scene_seed: int = 0,
        frames_between_clips: int = 3,
        train_clip_length: int | None = 10,
        train_batch_size: int = 4,
        eval_batch_size: int = 4,
        frame_rate: float = FRAMES_PER_SECOND,
        **reading: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(
            resolve_dataset_root(root, "walkway") / f"v{SCENE_VERSION}_seed{scene_seed}",
            frames_between_clips=frames_between_clips,
            train_clip_length=train_clip_length,
            train_batch_size=train_batch_size,
            eval_batch_size=eval_batch_size,
            frame_rate=frame_rate,
            **reading,
        )
        self.scene_seed = scene_seed

    def prepare_data(self) -> None:
        """Draw the scene unless it is there; the folder gets its name only when whole."""
        if self.root.is_dir():
            return
        self.root.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.root.parent, prefix=f"{self.root.name}.") as unfinished:
            drawn = Path(unfinished) / self.root.name
            write_scene(drawn, seed=self.scene_seed)
            try:
                drawn.rename(self.root)
            except OSError:
                if not self.root.is_dir():  # else another process has drawn the same one meanwhile
                    raise
