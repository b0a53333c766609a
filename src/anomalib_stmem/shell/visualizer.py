"""Pictures of judged frames: what came, what was expected, where they differ."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from anomalib.visualization import Visualizer
from anomalib.visualization.image.functional import (
    add_text_to_image,
    create_image_grid,
    overlay_images,
    visualize_image,
    visualize_mask,
)
from lightning.pytorch import LightningModule, Trainer
from PIL import Image
from torch import Tensor

from ..data.archive import archive_of
from ..results.heat import cover_with_heat
from ..video.names import Folders
from .batch import JudgedBatch

PANEL = (256, 256)  # pixels, width and height of each part


@dataclass(frozen=True)
class Picture:
    """All that one picture shows; ``h w`` as the network saw them."""

    frame: Tensor  # (3, h, w) in [0, 1]
    prediction: Tensor  # (3, h, w) in [0, 1]
    anomaly_map: Tensor  # (h, w) in [0, 1], 0.5 at the threshold
    error: Tensor  # (h, w): squared difference of frame and prediction
    truth: Tensor | None  # (h, w), true = abnormal
    caption: str


class ClipVisualizer(Visualizer):
    """Save pictures of judged frames after test and predict, in ``images/`` of the run's folder.

    One row each: frame, prediction, anomaly map over the frame, pixels whose prediction error is above the frame's mean
    (Fig. 7c), and the mask where there is one. Of every video the frame with the highest score is shown, and, if asked
    for, every ``every``-th frame. anomalib's own image visualizer refuses clips.

    Args:
        every: 0 shows only the highest-scoring frame of each video (films show the others), 1 shows all frames.
        output_dir: instead of ``images/`` in the run's folder.
        films: whether each video also gets films and events (:class:`~.run_videos.RunVideos`).

    Raises:
        ValueError: ``every`` is negative.
    """

    def __init__(self, every: int = 0, output_dir: Path | str | None = None, films: bool = True) -> None:
        super().__init__()
        if every < 0:
            msg = f"every must be 0 (only the highest score of each video) or more; got {every}."
            raise ValueError(msg)
        self.every = every
        self.output_dir = output_dir
        self.films = films
        self._highest: dict[str, tuple[float, Picture]] = {}  # by name of the video
        self._names = Folders()

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: JudgedBatch,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Draw the frames that are due, and remember the highest score of each video."""
        del pl_module, args, kwargs
        if archive_of(trainer) is not None:
            return
        folder = self._folder(trainer)
        for place in range(len(outputs.image)):
            video = outputs.video_name[place] if outputs.video_name is not None else "video"
            number = int(outputs.frames[place]) if outputs.frames is not None else 0
            score = float(outputs.pred_score[place])
            if self.every and number % self.every == 0:
                target = folder / self._names.of(video) / f"{number:05d}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                draw(picture(outputs, place, number)).save(target)
            if score > self._highest.get(video, (-1.0, None))[0]:
                self._highest[video] = (score, picture(outputs, place, number))

    on_predict_batch_end = on_test_batch_end

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the highest-scoring frame of each video."""
        del pl_module
        if archive_of(trainer) is not None:
            return
        folder = self._folder(trainer)
        own = {video: score for video, (score, _) in self._highest.items()}
        everywhere = [own] * trainer.world_size
        if trainer.world_size > 1:  # two devices may share a video
            torch.distributed.all_gather_object(everywhere, own)
        for video, (score, shown) in self._highest.items():
            best = max(scores.get(video, -1.0) for scores in everywhere)
            if score == best:
                target = folder / self._names.of(video)
                target.parent.mkdir(parents=True, exist_ok=True)
                draw(shown).save(target.with_name(f"{target.name}_highest.png"))
        self._highest = {}

    on_predict_end = on_test_end

    def _folder(self, trainer: Trainer) -> Path:
        folder = Path(self.output_dir) if self.output_dir else Path(trainer.default_root_dir) / "images"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def picture(batch: JudgedBatch, place: int, number: int) -> Picture:
    """Take one judged frame out of a batch, to the CPU."""
    frame = _to_rgb(batch.image[place, -1])
    prediction = _to_rgb(batch.prediction[place])
    label = "" if batch.gt_label is None else (", abnormal" if batch.gt_label[place] else ", normal")
    verdict = "" if batch.pred_label is None else (" ALARM" if batch.pred_label[place] else " ok")
    return Picture(
        frame=frame,
        prediction=prediction.clamp(0, 1),
        anomaly_map=batch.anomaly_map[place].squeeze(0).float().cpu(),
        error=(frame - prediction).square().mean(dim=0),
        truth=None if batch.gt_mask is None else batch.gt_mask[place].cpu(),
        caption=f"frame {number}{label}: {float(batch.pred_score[place]):.2f}{verdict}",
    )


def draw(shown: Picture) -> Image.Image:
    """Draw one picture as a row of panels."""
    frame = visualize_image(shown.frame).resize(PANEL)
    heat = np.ascontiguousarray(np.asarray(frame.convert("RGB"))[..., ::-1])  # BGR
    cover_with_heat(heat, shown.anomaly_map.numpy())
    above_mean = visualize_mask(shown.error > shown.error.mean(), mode="binary").convert("RGB").resize(PANEL)
    panels = [
        ("frame", frame),
        ("prediction", visualize_image(shown.prediction).resize(PANEL)),
        ("anomaly map", Image.fromarray(heat[..., ::-1])),
        ("error above mean", above_mean),
    ]
    if shown.truth is not None:
        outline = visualize_mask(shown.truth, mode="fill", color=(255, 0, 0)).resize(PANEL, Image.Resampling.NEAREST)
        panels.append(("ground truth", overlay_images(frame, outline, alpha=0.6)))
    panels[0] = (shown.caption, frame)
    titled = [add_text_to_image(panel.convert("RGB"), title, size=14, position=(4, 4)) for title, panel in panels]
    return create_image_grid(titled, nrow=len(titled))


def _to_rgb(frame: Tensor) -> Tensor:
    """``(1|3, h, w)`` in [-1, 1] to ``(3, h, w)`` in [0, 1], on the CPU."""
    return ((frame.float().cpu() + 1) / 2).expand(3, -1, -1)
