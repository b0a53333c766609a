"""The control as a model: frames differ from the one before, and nothing is learned."""

from typing import Any

import torch
from anomalib import LearningType
from anomalib.data import InferenceBatch, VideoBatch
from anomalib.metrics import Evaluator
from anomalib.models.components import AnomalibModule
from anomalib.pre_processing import PreProcessor
from anomalib.visualization import Visualizer
from torch import Tensor, nn
from torchvision.transforms.v2 import Resize

from ..model.scoring import blur
from ..shell.post_processor import SquashingPostProcessor


class DifferenceModel(nn.Module):
    """Compare the last frame of each ``(b, t, c, h, w)`` clip in [0, 1] with the one before."""

    def forward(self, clips: Tensor) -> InferenceBatch:
        """Return the mean squared difference ``(b,)``, and blurred as a map ``(b, 1, h, w)``."""
        difference = (clips[:, -1] - clips[:, -2]).square().mean(dim=1)
        return InferenceBatch(pred_score=difference.mean(dim=(1, 2)), anomaly_map=blur(difference[:, None]))


class FrameDifference(AnomalibModule):
    """Mean squared difference to the frame before; its blurred map says where.

    What a model has to beat to have learnt anything: it reaches 90 on Ped2 in the field's protocol.

    Args:
        image_size: height and width that frames are resized to.
        evaluator: as in anomalib.
        visualizer: as in anomalib.
    """

    def __init__(
        self,
        image_size: tuple[int, int] = (256, 256),
        evaluator: Evaluator | bool = True,
        visualizer: Visualizer | bool = False,
    ) -> None:
        super().__init__(
            PreProcessor(Resize(list(image_size), antialias=True)), SquashingPostProcessor(), evaluator, visualizer
        )
        self.model = DifferenceModel()

    @property
    def learning_type(self) -> LearningType:
        """Nothing is learned, so from normal video only."""
        return LearningType.ONE_CLASS

    @property
    def trainer_arguments(self) -> dict[str, Any]:
        """One step, because a training must have one; then the validation that sets the threshold."""
        return {"max_epochs": 1, "limit_train_batches": 1, "num_sanity_val_steps": 0}

    def configure_optimizers(self) -> None:
        """Nothing moves."""

    def training_step(self, batch: VideoBatch, *args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401
        """Return a loss of nothing."""
        del batch, args, kwargs
        return torch.zeros((), requires_grad=True, device=self.device)

    def validation_step(self, batch: VideoBatch, *args: Any, **kwargs: Any) -> VideoBatch:  # noqa: ANN401
        """Score the last frame of each clip."""
        del args, kwargs
        return batch.update(**self.model(batch.image)._asdict())
