"""The page that ``stmem learn`` leaves: what was seen, what to expect, and which normal moments were odd."""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

import cv2
import numpy as np
from numpy.typing import NDArray

from ..model.calibration import as_time
from ..results.files import write_text
from .suitable import Look

QUALITY = 85  # of the pictures, in JPEG


@dataclass(frozen=True)
class OddMoment:
    """A moment of normal video that surprised the model."""

    where: str
    picture: NDArray[np.uint8]  # (3, h, w) RGB
    is_above: bool  # the threshold


@dataclass(frozen=True)
class Story:
    """What the page tells."""

    name: str  # of the checkpoint
    basis: str  # what its threshold rests on
    warnings: Sequence[str]
    looks: Sequence[Look]
    moments: Sequence[OddMoment]
    took: str
    steps: int
    command: str  # of anomalib that does the same


def write_story(story: Story, path: Path) -> None:
    """Write the page; it needs nothing beside it.

    Raises:
        OSError: it cannot be written.
    """
    say = html.escape
    rows = [
        f"<tr><td>{say(look.name)}<td>{as_time(look.seconds / 3600)}<td>{look.num_frames}"
        f"<td>{look.dark:.0%}<td>{look.colourless:.0%}<td>{look.moving:.0%}</tr>"
        for look in story.looks
    ]
    moments = [
        f'<figure{" class=above" * one.is_above}><img alt="" src="data:image/jpeg;base64,{_jpeg(one.picture)}">'
        f"<figcaption>{say(one.where)}</figcaption></figure>"
        for one in story.moments
    ]
    page = Template((files(__package__) / "page.html").read_text("utf-8")).substitute(
        title=say(f"What {story.name} has learned"),
        basis=say(story.basis),
        warnings="\n".join(f'<p class="warning">{say(one)}</p>' for one in story.warnings),
        rows="\n".join(rows),
        moments="\n".join(moments),
        took=say(story.took),
        steps=story.steps,
        command=say(story.command),
    )
    write_text(path, page)


def _jpeg(picture: NDArray[np.uint8]) -> str:
    bgr = np.ascontiguousarray(picture[::-1].transpose(1, 2, 0))
    return base64.b64encode(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()).decode()
