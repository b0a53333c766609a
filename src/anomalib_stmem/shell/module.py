"""What callbacks ask of the LightningModule that they serve, so that they need not know it."""

from typing import Any, Protocol

from anomalib import LearningType

from ..model.torch_model import STMemModel
from ..model.trained_model import TrainedModel


class JudgingModule(Protocol):
    """:class:`~anomalib_stmem.STMem`, as far as callbacks see it."""

    model: STMemModel
    post_processor: Any
    learning_type: LearningType

    @property
    def trained(self) -> TrainedModel:
        """The model without its trainer."""
        ...
