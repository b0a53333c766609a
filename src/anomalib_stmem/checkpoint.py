"""What a checkpoint fixes: the options that a model must share with it, and the identity of a trained model."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .model.scoring import MEASUREMENTS

if TYPE_CHECKING:
    from .lightning_model import STMem

# The options that weights, calibration or score depend on.
FIXED_BY_CHECKPOINT = (
    *("streams", "window", "channels", "image_size", "width", "stem", "rtsm", "shift_fraction", "rcam", "skips"),
    *("residual", "memory", "memory_items", "memory_temperature", "memory_learned", "memory_fusion"),
    *("score_area", "score_error", "score_relative", "prediction_weight"),
)


def refuse_other_options(checkpoint: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Refuse a checkpoint made with other options, instead of judging with a mixture of both.

    Args:
        checkpoint: as Lightning saved it.
        own: options of the model that loads it.

    Raises:
        ValueError: an option of :data:`FIXED_BY_CHECKPOINT` differs, with the flags to add in the message; or the
            checkpoint was made before there was such an option or measurement.
    """
    saved = checkpoint.get("hyper_parameters", {})
    lacking = [f"--model.{name}" for name in FIXED_BY_CHECKPOINT if name not in saved]
    bounds = checkpoint.get("state_dict", {}).get("model.head.lower")
    if bounds is not None and len(bounds) != len(MEASUREMENTS):
        lacking.append(f"there were {len(MEASUREMENTS)} measurements of a frame")
    kept = checkpoint.get("state_dict", {})
    if "post_processor.normal_hours" in kept and "post_processor.frame_rate" not in kept:
        lacking.append("the frame rate of the training video was kept")
    if lacking:
        msg = (
            f"The checkpoint is from an earlier state of anomalib-stmem, before {lacking[0]}; its network and "
            "calibration do not fit this one. Train anew, or install the version that it was made with."
        )
        raise ValueError(msg)
    differing = {name: saved[name] for name in FIXED_BY_CHECKPOINT if _plain(saved[name]) != _plain(own[name])}
    if differing:
        flags = " ".join(f"--model.{name} {_as_flag(value)}" for name, value in differing.items())
        now = ", ".join(f"{name}={_plain(own[name])}" for name in differing)
        msg = f"The checkpoint was made with other options than this model ({now}). Add: {flags}"
        raise ValueError(msg)


def fingerprint(module: "STMem") -> str:
    """Hash everything that decides a score: options, weights, memory, calibration and thresholds."""
    options = [(name, _plain(module.hparams[name])) for name in FIXED_BY_CHECKPOINT]
    digest = hashlib.sha256(repr(options).encode())
    for name, value in sorted(module.state_dict().items()):
        if not name.startswith(("evaluator", "visualizer")):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _plain(value: Any) -> Any:  # noqa: ANN401
    return list(value) if isinstance(value, tuple | list) else value


def _as_flag(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, tuple | list):
        return f"[{','.join(str(part) for part in value)}]"
    return "null" if value is None else str(value)
