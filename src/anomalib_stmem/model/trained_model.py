"""A trained model without its trainer: all that streaming, export, calibration and reports need of a checkpoint."""

import hashlib
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..video.damaged_files import refuse_damaged
from ..video.region import Polygon, outlines
from .appearance import Appearance
from .autoencoder import Architecture
from .calibration import CHECKPOINT_NAMES, Calibration
from .checkpoint import FIXED_BY_CHECKPOINT, as_list, examples_in, normal_in, proportion_in, read_checkpoint
from .examples import Examples
from .normal_view import NormalView
from .scoring import ScoreHead
from .torch_model import Judged, STMemModel

LUMA = (0.2989, 0.587, 0.114)  # of red, green and blue in grey, as torchvision has it


class Preparation(nn.Module):
    """Turn ``(..., 3, h, w)`` RGB in [0, 1] into what the network reads: grey if it is, and in [-1, 1]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, frames: Tensor) -> Tensor:
        """Return ``(..., channels, h, w)``."""
        if self.channels == 1:
            red, green, blue = frames.unbind(dim=-3)
            frames = (LUMA[0] * red).add(green, alpha=LUMA[1]).add(blue, alpha=LUMA[2]).unsqueeze(-3)
        return (frames - 0.5) / 0.5


class TrainedModel(nn.Module):
    """Network, score, scale, thresholds and options: what a checkpoint holds.

    Args:
        network: with its score head.
        calibration: maps a raw :class:`~.torch_model.Judged` to a calibrated one; ``None`` leaves scores raw.
        options: of the training that made it; they also name what set the threshold.
        epochs: that it was trained.
        preparation: from frames in [0, 1] to what the network reads; :class:`Preparation` by default.
        proportion: width by height of the training video's pictures, where it is known.
        examples: pictures of normal video, one per item of the memory of looks, where they were kept.
        normal: how pictures of normal video are, where it is known; what is wrong with others is the camera's trouble.
    """

    def __init__(
        self,
        network: STMemModel,
        calibration: nn.Module | None,
        options: Mapping[str, Any],
        epochs: int = 0,
        preparation: nn.Module | None = None,
        proportion: float | None = None,
        examples: Examples | None = None,
        normal: NormalView | None = None,
    ) -> None:
        super().__init__()
        self.proportion, self.examples, self.normal = proportion, examples, normal
        self.network, self.calibration = network, calibration
        self.preparation = preparation or Preparation(network.channels)
        self.options, self.epochs = dict(options), epochs

    @classmethod
    def load(cls, path: Path | str) -> "TrainedModel":
        """Read a checkpoint on the CPU, without executing code in it.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no checkpoint of STMem, of an earlier state of this package, or has components of its own.
        """
        checkpoint = read_checkpoint(path)
        options, state = checkpoint["hyper_parameters"], checkpoint["state_dict"]
        enabled = checkpoint.get("anomalib_components_enabled") or {}
        used = checkpoint.get("anomalib_pre_processor_config")
        if not enabled.get("pre_processor", True) or not _is_usual(used, options["channels"]):
            msg = (
                f"{path} was trained with a pre-processor of its own, which only anomalib can rebuild. "
                "Give the model itself instead: STMem.load_from_checkpoint(path, pre_processor=...)."
            )
            raise ValueError(msg)
        with refuse_damaged(Path(path), "checkpoint of STMem whose weights fit its options"):
            network = build_network(options)
            network.load_state_dict(_below("model.", state))
        calibration = None
        if enabled.get("post_processor", True):
            kept = _below("post_processor.", state)
            values = {ours: kept[theirs] for ours, theirs in CHECKPOINT_NAMES.items() if theirs in kept}
            config = checkpoint.get("anomalib_post_processor_config") or {}
            sensitivities = (config.get(f"{kind}_sensitivity", 0.5) for kind in ("image", "pixel"))
            calibration = Calibration(values, options["false_alarms_per_hour"], *sensitivities)
        epochs, proportion = int(checkpoint.get("epoch", -1)) + 1, proportion_in(checkpoint)
        about = None, proportion, examples_in(checkpoint), normal_in(checkpoint)
        return cls(network, calibration, options, epochs, *about).eval()

    @property
    def window(self) -> int:
        """Frames that the network looks at before the one that it judges."""
        return self.network.window

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the frames that it takes."""
        height, width = self.options["image_size"]
        return int(height), int(width)

    @property
    def ignored(self) -> list[Polygon]:
        """What of the picture does not count, as polygons."""
        region = self.network.exemptions.region.cpu().numpy() > 0
        return [] if region.all() else outlines(region)

    @property
    def is_calibrated(self) -> bool:
        """Whether scores have a threshold."""
        return bool(getattr(self.calibration, "is_calibrated", False))

    @property
    def frame_rate(self) -> float | None:
        """Frames per second of the training video; ``None`` where it is not known."""
        rate = float(getattr(self.calibration, "frame_rate", math.nan))
        return None if math.isnan(rate) else rate

    def explain_threshold(self) -> str:
        """Say what the threshold rests on."""
        if isinstance(self.calibration, Calibration):
            return self.calibration.explain()
        return "The threshold is as the post-processor set it." if self.calibration else "There is no threshold."

    def forward(self, clips: Tensor) -> Judged:
        """Judge every frame of ``(b, n, 3, h, w)`` clips in [0, 1] that has a full window before it; a row for each."""
        return self.calibrated(self.network(self.preparation(clips)))

    def calibrated(self, judged: Judged) -> Judged:
        """Map raw scores and maps to the scale of this model."""
        return judged if self.calibration is None else Judged(**self.calibration(judged)._asdict())

    @torch.no_grad()
    def remember(self, frames: Tensor) -> int:
        """Let the memory of looks grow by what moves in ``(n, 3, h, w)`` consecutive normal frames in [0, 1].

        The score changes with it: calibrate anew.

        Returns:
            Number of looks that were added.

        Raises:
            ValueError: looks do not count for this model.
        """
        appearance = self.network.appearance
        if appearance is None:
            msg = "This model has no memory of looks. Train it with --model.appearance true."
            raise ValueError(msg)
        prepared = self.preparation(frames)
        known = appearance.num_items
        places = appearance.remember(prepared[1:], prepared[:-1])
        if self.examples is not None:
            pictures = [
                appearance.picture(prepared[1 + number], row, column) for number, row, column in places.tolist()
            ]
            self.examples = self.examples.and_more(known, pictures)
        return len(places)

    def forget(self, items: Collection[int]) -> None:
        """Take items out of the memory of looks, which :meth:`remember` had put there."""
        appearance = self.network.appearance
        assert appearance is not None  # noqa: S101  # nothing else has items
        if self.examples is not None:
            self.examples = self.examples.without(appearance.num_items, set(items))
        appearance.forget(set(items))

    def fingerprint(self) -> str:
        """Hash everything that decides a score: options, weights, memory, calibration and thresholds."""
        options = [(name, as_list(self.options[name])) for name in FIXED_BY_CHECKPOINT]
        digest = hashlib.sha256(repr(options).encode())
        state = {f"model.{name}": value for name, value in self.network.state_dict().items()}
        if isinstance(self.calibration, Calibration):
            state |= self.calibration.state()
        elif self.calibration is not None:
            state |= self.calibration.state_dict()
        for name, value in sorted(state.items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


class HasTrained(Protocol):
    """A shell around a trained model, such as the LightningModule."""

    @property
    def trained(self) -> TrainedModel:
        """The model without the shell."""
        ...


ModelOrPath = TrainedModel | HasTrained | Path | str


def as_trained(source: ModelOrPath) -> TrainedModel:
    """Load a checkpoint; take a model out of its shell; hand back what is one already."""
    if isinstance(source, TrainedModel):
        return source
    return TrainedModel.load(source) if isinstance(source, Path | str) else source.trained


def build_network(options: Mapping[str, Any]) -> STMemModel:
    """Make the network that the options of :class:`~anomalib_stmem.STMem` describe, with first weights."""
    architecture = Architecture(**{name: options[name] for name in Architecture.__dataclass_fields__})
    scored = ("score_area", "score_error", "prediction_weight", "score_relative", "score_perspective", "score_speed")
    head = ScoreHead(*(options[name] for name in (*scored, "appearance")))
    appearance = None
    if options["appearance"]:
        with torch.random.fork_rng(devices=[]):  # the streams start the same with and without it
            backbone = options["appearance_backbone"]
            appearance = Appearance(options["appearance_items"], options["image_size"], backbone=backbone)
    steady_size = tuple(options["image_size"]) if options["steady"] else None
    return STMemModel(architecture, head, options["streams"], options["precision"], appearance, steady_size)


def _below(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _is_usual(config: Mapping[str, Any] | None, channels: int) -> bool:
    """Whether what anomalib saved of the pre-processor is resizing and :class:`Preparation`, or nothing."""
    if config is None:
        return True
    try:
        steps = config["transform"]["init_args"]["transforms"]
        names = [step["class_path"].rsplit(".", 1)[-1] for step in steps]
        scale = steps[-1]["init_args"]
        grey = ["Grayscale"] if channels == 1 else []
        return names == ["Resize", *grey, "Normalize"] and {*scale["mean"], *scale["std"]} == {0.5}
    except (TypeError, KeyError, IndexError):  # another kind of transform
        return False


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what JSON gives back as it was."""
    lists = {name: as_list(value) for name, value in options.items()}
    return {name: value for name, value in lists.items() if isinstance(value, str | int | float | list | None)}
