"""``stmem demo``: learn the drawn walkway, watch new videos of it, call an event normal, and write the report."""

import json
from pathlib import Path

import cv2
from anomalib.engine import Engine
from rich.console import Console

from ..data.scene import ANOMALIES, FRAMES_PER_SECOND, SIZE, draw_video
from ..data.walkway import WalkwayDemo
from ..lightning_model import STMem
from ..page.page import write_page
from ..results.files import EVENT_LINES, new_folder
from ..shell.builtin_demo import OPTIONS
from ..watching.accept import accept
from ..watching.watch import watch

PAGE, MARK = "report.html", ".demo"
WATCHED_FRAMES, WATCHED_SEED = 150, 70_000  # of the videos that are watched; no seed of the scene comes near


def run_demo(results: Path | str, steps: int, console: Console) -> Path:
    """Train and test on the drawn scene, watch four new videos, accept an event of them, and write the page of all.

    Args:
        results: folder of everything; where it holds an earlier demo, its name gets a number.
        steps: of the training.
        console: to print on.

    Returns:
        The page.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = new_folder(Path(results), MARK, PAGE)
    console.rule("1 of 4: learn from normal video, and test")
    options = OPTIONS | {"default_steps": steps}
    model, data = STMem(**options), WalkwayDemo(root=folder / "scene")
    engine = Engine(
        default_root_dir=folder / "train",
        max_steps=steps,
        logger=False,
        enable_model_summary=False,
    )
    engine.train(model, datamodule=data)
    (checkpoint,) = (folder / "train").rglob("v0/weights/lightning/model.ckpt")
    console.rule("2 of 4: watch video that it has never seen")
    videos = [_draw(folder / "camera" / f"{kind}.avi", place) for place, kind in enumerate(ANOMALIES)]
    seen = watch([str(video) for video in videos], checkpoint, folder / "watch", console=console)
    console.rule("3 of 4: somebody calls an event normal, and the video is watched again")
    _accept_one(seen.folder, checkpoint, {video.stem: video for video in videos}, folder, console)
    console.rule("4 of 4: report")
    return write_page(folder, folder / PAGE)


def _accept_one(watched: Path, checkpoint: Path, videos: dict[str, Path], folder: Path, console: Console) -> None:
    """Accept the first event that was found, and watch its video with it."""
    lines = (watched / EVENT_LINES).read_text("utf-8").splitlines()
    if not lines:
        console.print("No event was found, so there is none to accept.")
        return
    event, out = json.loads(lines[0]), folder / "accepted.ckpt"
    for one in accept(watched, [f"{event['video']}/{event['id']}"], checkpoint, out):
        console.print(f"Normal now: {one}", soft_wrap=True, highlight=False, markup=False)
    again = watch([str(videos[event["video"]])], out, folder / "watch_again", console=console)
    console.print(f"Events of {event['video']} that are left: {again.num_events}.", highlight=False)


def _draw(path: Path, place: int) -> Path:
    """Draw a video of a kind of anomaly, which its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FRAMES_PER_SECOND, (SIZE, SIZE))
    for frame in draw_video(WATCHED_SEED + place, WATCHED_FRAMES, ANOMALIES[place]):
        writer.write(cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
    writer.release()
    return path
