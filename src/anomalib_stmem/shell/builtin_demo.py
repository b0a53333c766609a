"""What ``anomalib train --model STMem`` does without ``--data``: a short training on the drawn walkway."""

import inspect
import logging
from typing import Any

from anomalib.pre_processing import PreProcessor

from ..data.walkway import WalkwayDemo

logger = logging.getLogger(__name__)

# A network that two cores train in two minutes; used for options that the user left at their defaults.
OPTIONS: dict[str, Any] = {
    "image_size": (64, 64),
    "width": 8,
    "stem": 1,
    "memory_items": 8,
    "score_error": "sum",
    "learning_rate": 3e-3,
    "separation_weight": 0.0,
    "score_speed": False,  # drawn figures a few pixels high: neither speed nor looks add anything (docs/results.md)
    "appearance": False,
    "default_steps": 150,
}


def is_wanted(model: Any) -> bool:
    """Whether training was started with neither a datamodule nor loaders: Lightning then asks the model for them."""
    return model.trainer.fit_loop._data_source.instance is model  # noqa: SLF001  # Lightning has no public question


def is_running(model: Any) -> bool:
    """Whether :func:`prepare` put the demo scene under this model."""
    return hasattr(model, "demo_data")


def prepare(model: Any) -> None:
    """Shrink the model to the demo's size where the user chose nothing, and say what runs."""
    defaults = inspect.signature(type(model).__init__).parameters
    chosen = {name: value for name, value in OPTIONS.items() if model.hparams[name] == defaults[name].default}
    model.hparams.update(chosen)
    model._build()  # noqa: SLF001  # the one place outside the class that rebuilds it
    if isinstance(model.pre_processor, PreProcessor):
        model.pre_processor.load_checkpoint_config(model.configure_pre_processor().checkpoint_config())
    model.demo_data = WalkwayDemo(clip_length_in_frames=model.model.window + 1)
    shown = " ".join(f"--model.{name} {value}" for name, value in chosen.items())
    logger.warning("No --data given: training on the built-in demo scene (--data WalkwayDemo) with %s", shown)


def datamodule(model: Any) -> WalkwayDemo:
    """Return the demo's data, set up.

    Raises:
        ValueError: the demo was not started by training without data.
    """
    if not is_running(model):
        msg = "No --data given. Only `train` and `fit` fall back to the demo scene; name it with --data WalkwayDemo."
        raise ValueError(msg)
    data = model.demo_data
    data.trainer = model.trainer
    data.prepare_data()
    data.setup("fit")
    return data
