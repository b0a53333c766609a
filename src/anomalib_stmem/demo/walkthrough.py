"""``stmem demo``: train on the drawn walkway, watch videos that were never seen, and write the report."""

from pathlib import Path

import cv2
from anomalib.engine import Engine
from rich.console import Console

from ..data.scene import ANOMALIES, FRAMES_PER_SECOND, SIZE, draw_video
from ..data.walkway import WalkwayDemo
from ..lightning_model import STMem
from ..page.page import write_page
from ..results.files import new_folder
from ..shell.builtin_demo import OPTIONS
from ..watching.watch import watch

PAGE, MARK = "report.html", ".demo"
WATCHED_FRAMES, WATCHED_SEED = 150, 70_000  # of the videos that are watched; no seed of the scene comes near


def run_demo(results: Path | str, epochs: int, console: Console) -> Path:
    """Train and test on the drawn scene, watch four videos that it does not hold, and write the page of both.

    Args:
        results: folder of everything; where it holds an earlier demo, its name gets a number.
        epochs: to train.
        console: to print on.

    Returns:
        The page.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = new_folder(Path(results), MARK, PAGE)
    console.rule("1 of 3: learn from normal video, and test")
    options = OPTIONS | {"default_epochs": epochs}
    model, data = STMem(**options), WalkwayDemo(root=folder / "scene")
    engine = Engine(
        default_root_dir=folder / "train",
        max_epochs=epochs,
        check_val_every_n_epoch=epochs,
        logger=False,
        enable_model_summary=False,
    )
    engine.train(model, datamodule=data)
    (checkpoint,) = (folder / "train").rglob("v0/weights/lightning/model.ckpt")
    console.rule("2 of 3: watch video that it has never seen")
    videos = [_draw(folder / "camera" / f"{kind}.avi", place) for place, kind in enumerate(ANOMALIES)]
    watch([str(video) for video in videos], checkpoint, folder / "watch", console=console)
    console.rule("3 of 3: report")
    return write_page(folder, folder / PAGE)


def _draw(path: Path, place: int) -> Path:
    """Draw a video of a kind of anomaly, which its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FRAMES_PER_SECOND, (SIZE, SIZE))
    for frame in draw_video(WATCHED_SEED + place, WATCHED_FRAMES, ANOMALIES[place]):
        writer.write(cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
    writer.release()
    return path
