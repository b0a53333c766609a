"""What a model has learned of the perspective of its scene, beside a picture of it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure  # not pyplot: figures for files need no screen and no global state
from numpy.typing import NDArray

COLOURS = ("#1f4e79", "#b03020")


def draw_perspective(picture: NDArray[np.uint8], usual: Mapping[str, NDArray[np.float32]], path: Path) -> None:
    """Draw how large each map usually is where something moves, from the top of the picture to its bottom.

    Args:
        picture: ``(h, w, 3)`` RGB.
        usual: ``(h,)`` each by name, relative to the average; 1 everywhere in a scene without perspective.
        path: of the PNG.
    """
    height, width = picture.shape[:2]
    figure = Figure(figsize=(4.2 * width / height + 3.4, 4.2), layout="constrained")
    scene, curves = figure.subplots(1, 2, sharey=True, width_ratios=(1.2 * width / height, 1))
    scene.imshow(picture, aspect="auto", extent=(0, width, height, 0))
    scene.set(xticks=[], ylabel="row", title="A frame of the video")
    for (name, values), colour in zip(usual.items(), COLOURS, strict=True):
        curves.plot(values, np.arange(height) + 0.5, color=colour, label=name)
    curves.axvline(1, color="grey", linewidth=0.8)
    curves.set(xlabel="usual where something moves,\nrelative to the average", xlim=(0, None), title="Perspective")
    curves.legend(fontsize=8)
    figure.savefig(path, dpi=110)
