"""A checkpoint on disk: how it is read, what a model must share with it, and how a new calibration gets into it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
from torch import Tensor

from ..video.damaged_files import refuse_damaged
from .examples import Examples
from .normal_view import NormalView
from .scoring import MEASUREMENTS

# The options that weights, calibration or score depend on.
FIXED_BY_CHECKPOINT = (
    *("streams", "window", "channels", "image_size", "width", "stem", "rtsm", "shift_fraction", "rcam", "skips"),
    *("residual", "memory", "memory_items", "memory_temperature", "memory_learned", "memory_fusion"),
    *("score_area", "score_error", "score_relative", "score_perspective", "score_speed", "prediction_weight"),
    *("appearance", "appearance_backbone", "appearance_items", "steady"),
)


TRAINING_VIDEO = "anomalib_stmem_training_video"  # what a checkpoint says of it
NORMAL_VIEW = "anomalib_stmem_normal_view"  # how pictures usually are, as NormalView.to_plain has it
REGION, ALLOWED = "model.exemptions.region", "model.exemptions.accepted"  # names of tensors
ACCEPTED = "anomalib_stmem_accepted"  # events that a person called normal, as plain data
EXAMPLES = "anomalib_stmem_examples"  # the sheet of pictures of normal video, as bytes in a tensor


def proportion_in(checkpoint: Mapping[str, Any]) -> float | None:
    """Return width by height of the training video's pictures; ``None`` where a checkpoint does not say."""
    said = checkpoint.get(TRAINING_VIDEO, {}).get("proportion")
    return None if said is None else float(said)


def examples_in(checkpoint: Mapping[str, Any]) -> Examples | None:
    """Return the pictures of normal video that a checkpoint holds, if it holds any."""
    sheet = checkpoint.get(EXAMPLES)
    return None if sheet is None else Examples(sheet.numpy().tobytes())


def normal_in(checkpoint: Mapping[str, Any]) -> NormalView | None:
    """Return how pictures of normal video are, if a checkpoint says so."""
    plain = checkpoint.get(NORMAL_VIEW)
    return None if plain is None else NormalView.from_plain(plain)


def accepted_in(checkpoint: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the events that a person called normal after the training."""
    return list(checkpoint.get(ACCEPTED) or [])


def examples_as_tensor(examples: Examples | None) -> Tensor | None:
    """Turn them into what a checkpoint holds."""
    return None if examples is None else torch.frombuffer(bytearray(examples.sheet), dtype=torch.uint8)


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """Load a checkpoint of STMem on the CPU, without executing code in it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint, that of another model, damaged, or one of an earlier state of this package.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"There is no file {path.absolute()}."
        raise FileNotFoundError(msg)
    refuse_broken(path)
    with refuse_damaged(path, "checkpoint of STMem"):
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    try:
        checkpoint["hyper_parameters"]["score_error"], checkpoint["state_dict"]["model.head.lower"]
    except (KeyError, TypeError) as error:
        msg = f"{path} is no checkpoint of STMem, but of another model."
        raise ValueError(msg) from error
    refuse_earlier_state(checkpoint)
    try:
        refuse_not_finite(checkpoint)
    except ValueError as error:
        msg = f"{path}: {error}"
        raise ValueError(msg) from error
    return checkpoint


def refuse_broken(path: Path | str) -> None:
    """Compare a checkpoint's bytes with the check sums in it, which ``torch.load`` passes over.

    Raises:
        ValueError: they differ, or the file is cut off or no checkpoint.
    """
    with refuse_damaged(Path(path), "checkpoint of STMem"), ZipFile(path) as parts:
        broken = parts.testzip()
    if broken is not None:
        msg = f"{path} is damaged: the check sum of {broken} in it is wrong. Copy it anew, or train again."
        raise ValueError(msg)


def refuse_not_finite(checkpoint: Mapping[str, Any]) -> None:
    """Refuse weights that are NaN or infinite: every score would be NaN.

    Raises:
        ValueError: there are some; the message names the first.
    """
    for name, value in checkpoint["state_dict"].items():
        if name.startswith("model.") and value.is_floating_point() and not bool(value.isfinite().all()):
            msg = f"The weights {name} are not finite: the training has diverged. Try a lower --model.learning_rate."
            raise ValueError(msg)


def refuse_earlier_state(checkpoint: Mapping[str, Any]) -> None:
    """Refuse a checkpoint from before an option or measurement of today.

    Raises:
        ValueError: it is one; the message says what it lacks.
    """
    saved, kept = checkpoint.get("hyper_parameters", {}), checkpoint.get("state_dict", {})
    lacking = [f"--model.{name}" for name in FIXED_BY_CHECKPOINT if name not in saved]
    bounds = kept.get("model.head.lower")
    if bounds is not None and len(bounds) != len(MEASUREMENTS):
        lacking.append(f"there were {len(MEASUREMENTS)} measurements of a frame")
    if "post_processor.normal_hours" in kept and "post_processor.frame_rate" not in kept:
        lacking.append("the frame rate of the training video was kept")
    if "post_processor.normal_hours" in kept and "post_processor.peaks" not in kept:
        lacking.append("the threshold rested on peaks")
    if lacking:
        msg = (
            f"The checkpoint is from an earlier state of anomalib-stmem, before {lacking[0]}; its network and "
            "calibration do not fit this one. Train anew, or install the version that it was made with."
        )
        raise ValueError(msg)


def refuse_other_options(checkpoint: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Refuse a checkpoint made with other options, instead of judging with a mixture of both.

    Args:
        checkpoint: as Lightning saved it.
        own: options of the model that loads it.

    Raises:
        ValueError: an option of :data:`FIXED_BY_CHECKPOINT` differs, with the flags to add in the message.
    """
    saved = checkpoint["hyper_parameters"]
    differing = {name: saved[name] for name in FIXED_BY_CHECKPOINT if as_list(saved[name]) != as_list(own[name])}
    if differing:
        flags = " ".join(f"--model.{name} {_as_flag(value)}" for name, value in differing.items())
        now = ", ".join(f"{name}={as_list(own[name])}" for name in differing)
        msg = f"The checkpoint was made with other options than this model ({now}). Add: {flags}"
        raise ValueError(msg)


def write_changed(
    source: Path,
    target: Path,
    values: Mapping[str, Tensor],
    entries: Mapping[str, Any],
    budget: float | None = None,
) -> None:
    """Write a checkpoint with some values changed; weights and options stay.

    Args:
        source: checkpoint to start from.
        target: file to write.
        values: tensors by their names in the checkpoint; names that it lacks are passed over, but for exemptions.
        entries: what the checkpoint says beside them, by name.
        budget: false alarms per hour that the threshold is for; ``None`` leaves it.
    """
    checkpoint = read_checkpoint(source)
    kept = checkpoint["state_dict"]
    known = {*kept, REGION, ALLOWED}
    kept.update({name: value.clone() for name, value in values.items() if name in known})
    if budget is not None:
        checkpoint["hyper_parameters"]["false_alarms_per_hour"] = budget
    save(checkpoint | dict(entries), target)


def save(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint.

    Raises:
        OSError: the disk takes no more.
    """
    try:
        torch.save(dict(checkpoint), path)
    except RuntimeError as error:  # torch's word for it
        msg = f"{path} cannot be written: {str(error).splitlines()[0]}. Is the disk full?"
        raise OSError(msg) from error


def as_list(value: Any) -> Any:  # noqa: ANN401
    """Turn tuples into lists, which is what a file gives back."""
    return list(value) if isinstance(value, tuple | list) else value


def _as_flag(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, tuple | list):
        return f"[{','.join(str(part) for part in value)}]"
    return "null" if value is None else str(value)
