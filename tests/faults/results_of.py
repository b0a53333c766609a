"""Results as a watch leaves them."""

import io
from pathlib import Path

import cv2
from cameras import GREY, WHITE, WhiteAlarm
from makers import picture
from rich.console import Console

from anomalib_stmem.watching import watch


def watched_results(folder: Path, number: int) -> None:
    """Watch a short video with an event, and put the results into ``folder``."""
    before, watch.FrameStreams = watch.FrameStreams, WhiteAlarm  # type: ignore[assignment,misc]
    video = folder.parent / f"gate{number}.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for place in range(40):
        writer.write(picture(WHITE if 12 <= place < 24 + number else GREY, place))
    writer.release()
    watch.watch([f"gate={video}"], "m.ckpt", folder, console=Console(file=io.StringIO()))
    watch.FrameStreams = before  # type: ignore[misc]
    video.unlink()
