"""STMem as an anomalib model: what is trained, judged, saved and reported, and when."""

import logging
import math
import time
import warnings
from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
from anomalib import LearningType
from anomalib.data.datasets.base.video import VideoTargetFrame
from anomalib.metrics import Evaluator
from anomalib.models.components import AnomalibModule
from anomalib.post_processing import PostProcessor
from anomalib.pre_processing import PreProcessor
from anomalib.visualization import Visualizer
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.transforms.v2 import Compose, Grayscale, Normalize, Resize

from .data.datamodule import proportion_of, refuse_other_proportions
from .data.labels import MOST_FRAMES
from .data.walkway import WalkwayDemo
from .evaluation.evaluator import video_evaluator
from .model.checkpoint import (
    EXAMPLES,
    NORMAL_VIEW,
    REGION,
    TRAINING_VIDEO,
    examples_as_tensor,
    examples_in,
    normal_in,
    proportion_in,
    refuse_earlier_state,
    refuse_not_finite,
    refuse_other_options,
)
from .model.crops import moving_crops
from .model.examples import Examples, pack
from .model.loss import Reduction, Weights, objective
from .model.memory import memory_health
from .model.normal_view import NormalView
from .model.precision import Precision
from .model.scoring import AreaName, ErrorName
from .model.timm_backbone import OWN_BACKBONE
from .model.torch_model import STMemModel, Streams
from .model.trained_model import TrainedModel, build_network
from .shell import builtin_demo
from .shell.archive_scores import ArchiveScores
from .shell.batch import JudgedBatch, as_judged_batch, first_frames, leave_out
from .shell.budget import ValidateAtTheEnd, is_among, is_over, put_off_validation, seconds_after, share_done
from .shell.devices import share_results_folder
from .shell.export import ClipExport
from .shell.learn_looks import learn_looks
from .shell.learn_scene import learn_normal_view, learn_peaks, learn_perspective, learn_view
from .shell.measure_training import frames_in, measure_training
from .shell.post_processor import CalibratedPostProcessor
from .shell.progress_lines import ProgressLines
from .shell.run_report import RunReport
from .shell.run_videos import RunVideos
from .shell.save_when_stopped import SaveWhenStopped, tell_where_it_goes_on
from .shell.stage_folder import StageFolder
from .shell.visualizer import ClipVisualizer
from .shell.whole_checkpoints import WholeCheckpoints
from .video.region import Region, region_of

logger = logging.getLogger(__name__)

LEAST_JUDGED = 300  # frames, however short time is
HELD_OUT = 1 / 2  # of the frames that there is time to judge after a training may be those that are held out
LOG_HEALTH_EVERY = 50  # batches; as often as Lightning writes its log
LIGHTNING_DEFAULT_EPOCHS = 1000  # what Lightning sets when nobody does


class STMem(ClipExport, AnomalibModule):  # type: ignore[misc]  # what it exports takes more options
    """Spatio-temporal memory network for abnormal events in fixed-camera video (Hu & Zhu 2022).

    Two sub-networks predict the next frame and the next frame difference out of small memories of normal patterns;
    what they fail to predict is the anomaly. Train on normal video only. The parts and options follow the paper;
    ``configs/paper`` holds its literal settings, ``docs/paper_map.md`` each equation and how it was read.

    Args:
        streams: ``both`` sub-networks, or ``spatial`` / ``temporal`` alone (Table IV).
        window: ``t``, frames that the network looks at; 5 in the paper. The data must yield clips of ``window + 1``.
        channels: 3 for colour, 1 for grey.
        image_size: height and width in pixels that frames are resized to; multiples of 8 * ``stem``. 256x256 in the
            paper.
        width: channels of the finest maps; doubled at each of three halvings. The paper gives none; ``configs/paper``
            takes 64. 16 with a stem of 2 is real-time on two CPU cores.
        stem: side in pixels of the blocks that the network reads, and predicts, as one position of its finest maps. 1
            is the paper; 2 takes a quarter of the operations.
        rtsm: residual temporal shift in the encoder. Without it the network sees one frame (Table III).
        shift_fraction: share of channels that RTSM moves. 0 keeps RTSM's convolutions without their past.
        rcam: residual channel attention in the decoder (Table III).
        skips: connections from encoder to decoder at the three finer scales.
        residual: whether the spatial stream predicts the change to the latest frame; ``False``, the whole frame, is the
            paper.
        memory: ``all`` puts one on the bottleneck and on every skip (the paper), ``bottleneck`` leaves skips raw,
            ``none`` has no memory (Table III).
        memory_items: ``M``, items per memory; 20 in the paper.
        memory_temperature: divides the cosines in the read's softmax, Eq. (5); 1 in the paper.
        memory_momentum: share of the old item an update keeps; ``None`` is the literal Eq. (8).
        memory_restart: updates after which an unused item is placed anew; 0 is never (the paper).
        memory_learned: whether the loss also moves the items.
        memory_fusion: the decoder gets query and read (``concat``) or the ``read`` alone.
        separation_weight: ``alpha_s = beta_s`` of L_s, Eqs. (11)-(12); 0.1 in the paper, 0 switches L_s off.
        separation_a: margin ``a`` of Eq. (10).
        separation_b: margin ``b`` of Eq. (10).
        spatial_weight: ``gamma_i`` of Eq. (13); the temporal stream has ``1 - gamma_i``.
        loss_reduction: ``mean``, or ``sum`` for the literal norms of Eqs. (9)-(10).
        score_area: PSNR of the whole ``frame`` (the paper), of its worst ``patch``, or of the root mean square over all
            ``patches``.
        score_error: error that is scored and shown: of the ``sum`` (the paper), ``spatial``, ``temporal``, ``both``.
        score_relative: whether the error is scored as a share of the frame's motion.
        steady: whether light and shaking of the whole picture are taken out of each frame that is judged
            (:mod:`~.model.steady`); ``False`` is the paper.
        score_perspective: whether errors are divided by what is usual at that height of the picture, learned from the
            training video (:class:`~.model.perspective.Perspective`); ``False`` is the paper.
        score_speed: whether the greatest speed counts too (:mod:`~.model.speed`); ``False`` is the paper.
        appearance: whether looks count too: moving things are compared with normal video
            (:class:`~.model.appearance.Appearance`); ``False`` is the paper.
        appearance_backbone: what sees them: ``lite0``, whose weights come with pip, or the name of any network of timm
            that has maps of stride 16.
        appearance_weights: file with its weights, as timm reads it. ``None`` lets timm download its own.
        appearance_items: features that the memory of looks keeps.
        appearance_cell: pixels of the frame, each way, that become one of its features: 4, 8 or 16. ``None``
            measures how high people are in the training video, and takes a fifth of it.
        appearance_every: frames from one look to the next, at most ``window``. ``None`` looks five times a second.
        appearance_examples: whether the model keeps a small picture of normal video with each feature, which an alarm
            shows beside what looked odd. ``False`` keeps no picture of anybody.
        prediction_weight: ``lambda`` of Eq. (16); 0.8 in the paper, 1 leaves the memory distances out.
        ignore: what of the picture does not count: a picture on which it is painted red, or polygons
            (:func:`~.video.region.region_of`). Kept in the checkpoint; given with one, it comes on top.
        only: the same of what alone counts.
        train_crop: height and width in pixels of the part of each clip that training looks at, chosen anew each time
            where something moves (:func:`~.model.crops.moving_crops`); multiples of 8 * ``stem``, and at most the
            frame's. ``None`` looks at whole frames (the paper).
        learning_rate: of Adam, annealed to 0 along a cosine; 2e-5 in the paper.
        default_steps: trained where the trainer limits neither epochs (or to Lightning's 1000), steps nor time. They
            are drawn over all the video there is, so more video does not take longer.
        precision: ``auto`` computes convolutions in bfloat16 where the device has units for it.
        compiled: whether ``torch.compile`` fuses the sub-networks: minutes at the start, worth it on CUDA and in long
            trainings. Clips of any length share a compilation.
        false_alarms_per_hour: budget that sets the threshold on held-out normal video.
        seed: of weights, memory and data order; anomalib parses ``--seed_everything`` and does not use it. Torch's
            generator is left as it was until a training begins. ``None`` leaves it alone altogether.
        pre_processor: ``True`` for resizing to ``image_size`` and scaling to [-1, 1].
        post_processor: ``True`` for :class:`CalibratedPostProcessor`.
        evaluator: ``True`` for the metrics of :meth:`configure_evaluator`.
        visualizer: ``True`` for :class:`ClipVisualizer`.

    Raises:
        ValueError: an option is outside its range; the message names it.
    """

    model: STMemModel
    trainer: Trainer
    demo_data: WalkwayDemo
    judges_whole_clips = True  # datamodules of ours then give long clips to judge, which cost less per frame

    def __init__(
        self,
        streams: Streams = "both",
        window: int = 5,
        channels: Literal[1, 3] = 3,
        image_size: tuple[int, int] = (256, 256),
        width: int = 16,
        stem: Literal[1, 2, 4] = 2,
        rtsm: bool = True,
        shift_fraction: float = 0.25,
        rcam: bool = True,
        skips: bool = True,
        residual: bool = True,
        memory: Literal["all", "bottleneck", "none"] = "all",
        memory_items: int = 20,
        memory_temperature: float = 0.1,
        memory_momentum: float | None = 0.95,
        memory_restart: int = 200,
        memory_learned: bool = False,
        memory_fusion: Literal["concat", "read"] = "concat",
        separation_weight: float = 0.001,
        separation_a: float = 2.0,
        separation_b: float = 1.0,
        spatial_weight: float = 0.5,
        loss_reduction: Reduction = "mean",
        score_area: AreaName = "patch",
        score_error: ErrorName = "temporal",
        score_relative: bool = False,
        steady: bool = True,
        score_perspective: bool = True,
        score_speed: bool = True,
        appearance: bool = True,
        appearance_backbone: str = OWN_BACKBONE,
        appearance_weights: str | None = None,
        appearance_items: int = 4000,
        appearance_cell: Literal[4, 8, 16] | None = None,
        appearance_every: int | None = None,
        appearance_examples: bool = True,
        prediction_weight: float = 1.0,
        ignore: str | None = None,
        only: str | None = None,
        train_crop: tuple[int, int] | None = (96, 96),
        learning_rate: float = 2e-3,
        default_steps: int = 4000,
        precision: Precision = "auto",
        compiled: bool = False,
        false_alarms_per_hour: float = 1.0,
        seed: int | None = 0,
        pre_processor: PreProcessor | bool = True,
        post_processor: PostProcessor | bool = True,
        evaluator: Evaluator | bool = True,
        visualizer: Visualizer | bool = True,
    ) -> None:
        if not 0 <= spatial_weight <= 1:
            msg = f"spatial_weight (gamma_i) must be in [0, 1]; got {spatial_weight}."
            raise ValueError(msg)
        if train_crop is not None and any(side <= 0 or side % (8 * stem) for side in train_crop):
            msg = f"train_crop must be multiples of 8 * stem = {8 * stem}; got {list(train_crop)}."
            raise ValueError(msg)
        if appearance_items < 1:
            msg = f"appearance_items must be 1 or more; got {appearance_items}. Or set --model.appearance false."
            raise ValueError(msg)
        if appearance_every is not None and not 1 <= appearance_every <= window:
            msg = f"appearance_every must be from 1 to window = {window}; got {appearance_every}."
            raise ValueError(msg)
        # Plain numbers: `anomalib benchmark` passes OmegaConf's list, with which no checkpoint could be loaded.
        image_size = (int(image_size[0]), int(image_size[1]))
        train_crop = None if train_crop is None else (int(train_crop[0]), int(train_crop[1]))
        super().__init__(pre_processor, post_processor, evaluator, visualizer)
        self._build()

    @property
    def _options(self) -> Any:  # noqa: ANN401
        return self.hparams  # whose attributes Lightning makes at run time

    def _build(self) -> None:
        """Make the network that ``hparams`` describe."""
        options = self._options
        with torch.random.fork_rng(devices=[], enabled=options.seed is not None):
            if options.seed is not None:
                torch.manual_seed(options.seed)
            self.model = build_network(options)
            self._random_state = torch.get_rng_state()  # with which a training goes on
        self.model.exemptions.narrow(self._region())
        self._learned_with: dict[str, Any] = dict(options)  # the options of the training that made the weights
        self._learned_epochs = 0
        self._proportion: float | None = None  # width by height of the training video's pictures
        self._examples: Examples | None = None  # of the memory of looks
        self._normal: NormalView | None = None  # how pictures of the training video are
        self._scene_is_new = False  # whether a training has still to learn it
        self._judged_share = 1.0  # of what is held out, where time is short
        if options.compiled:
            self.model.compile_streams()

    def _region(self) -> Region:
        """Return what counts by the options."""
        options = self._options
        return region_of(tuple(options.image_size), options.ignore, options.only)

    @property
    def trained(self) -> TrainedModel:
        """The model without its trainer, sharing its weights: what streaming, export and reports take.

        Its options are those that made weights and threshold: a loaded checkpoint's, whatever this model was given.
        """
        options, scale = dict(self._learned_with), self.post_processor
        calibration = scale
        if isinstance(scale, CalibratedPostProcessor):
            calibration = scale.calibration
            options["false_alarms_per_hour"] = scale.budget_in_force
        prepare = None if self._prepares_as_usual() else self.pre_processor or torch.nn.Identity()
        about = self._learned_epochs, prepare, self._proportion, self._examples, self._normal
        return TrainedModel(self.model, calibration, options, *about)

    def _prepares_as_usual(self) -> bool:
        usual = self.configure_pre_processor().checkpoint_config()
        return isinstance(self.pre_processor, PreProcessor) and self.pre_processor.checkpoint_config() == usual

    # -- what anomalib asks of every model ---------------------------------------------------------------------------

    @property
    def learning_type(self) -> LearningType:
        """STMem learns from normal video only."""
        return LearningType.ONE_CLASS

    @property
    def trainer_arguments(self) -> dict[str, Any]:
        """Nothing: what stands here would override what the user passes to the trainer."""
        return {}

    def configure_pre_processor(self, image_size: tuple[int, int] | None = None) -> PreProcessor:
        """Resize to ``image_size``, turn grey if ``channels`` is 1, and scale [0, 1] to [-1, 1]."""
        channels = self._options.channels
        size = list(image_size or self._options.image_size)
        grey = [Grayscale(num_output_channels=1)] if channels == 1 else []
        scale = Normalize(mean=[0.5] * channels, std=[0.5] * channels)
        return PreProcessor(transform=Compose([Resize(size, antialias=True), *grey, scale]))

    def configure_post_processor(self) -> PostProcessor:
        """Calibrate on normal video."""
        return CalibratedPostProcessor(self._options.false_alarms_per_hour)

    @staticmethod
    def configure_evaluator() -> Evaluator:
        """Measure frames (pooled as anomalib does, and by video), pixels, regions and tracks, in bounded memory."""
        return video_evaluator()

    @classmethod
    def configure_visualizer(cls) -> Visualizer:
        """Pictures of clips; anomalib's image visualizer refuses them."""
        return ClipVisualizer()

    def configure_callbacks(self) -> Sequence[Callback]:
        """Add what keeps results to anomalib's components."""
        folder = StageFolder()
        films = [RunVideos(folder)] if getattr(self.visualizer, "films", False) else []
        own = cast("Sequence[Callback]", super().configure_callbacks())
        return [
            *own,
            *films,
            RunReport(folder),
            ArchiveScores(),
            SaveWhenStopped(),
            ProgressLines(),
            ValidateAtTheEnd(),
        ]

    # -- steps -------------------------------------------------------------------------------------------------------

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> JudgedBatch:  # noqa: ANN401
        """Check every batch that comes in, before anything is computed on it."""
        del dataloader_idx
        data = getattr(self.trainer, "datamodule", None)
        return as_judged_batch(batch, self.model.window, getattr(data, "root", None))

    def on_train_batch_start(self, batch: JudgedBatch, batch_idx: int) -> None:
        """Let what is drawn at random follow from seed and step: a training that goes on draws the same."""
        del batch, batch_idx
        if self._options.seed is not None:
            torch.manual_seed(self._options.seed + self.trainer.global_step)

    def training_step(self, batch: JudgedBatch, batch_idx: int) -> Tensor:
        """Compute ``L = gamma_i L_i + (1 - gamma_i) L_x`` (Eq. 13); the memories are updated on the way.

        Raises:
            ValueError: a training clip is labelled abnormal.
            FloatingPointError: the loss is not finite.
        """
        if batch.gt_label is not None and bool(batch.gt_label.any()):
            which = int(batch.gt_label.flatten().int().argmax())
            msg = f"A training clip of {batch.video_path[which]} is labelled abnormal. Train on normal video only."
            raise ValueError(msg)
        clips, options = batch.image, self._options
        if options.train_crop is not None:
            clips = moving_crops(clips, options.train_crop)
        expected = self.model.expect(clips)
        weights = Weights(options.spatial_weight, options.separation_weight, options.separation_a, options.separation_b)
        total, parts = objective(expected, clips, self.model.window, weights, options.loss_reduction)
        self.log_dict(parts, on_step=False, on_epoch=True, batch_size=len(clips))
        if batch_idx % LOG_HEALTH_EVERY == 0:
            for name, stream in (("spatial", expected.spatial), ("temporal", expected.temporal)):
                if stream is not None:
                    self._log_memory_health(name, stream.recalls, len(clips))
        if not bool(torch.isfinite(total)):
            saved = getattr(self.trainer.checkpoint_callback, "best_model_path", "") or "none was saved yet"
            msg = (
                f"The loss became {float(total.detach())} at step {self.trainer.global_step} "
                f"(epoch {self.current_epoch}). Lower --model.learning_rate (now {options.learning_rate}). "
                f"Last good checkpoint: {saved}."
            )
            raise FloatingPointError(msg)
        self.log("loss", total, prog_bar=True, batch_size=len(clips))
        return total

    def _log_memory_health(self, stream: str, recalls: dict, batch_size: int) -> None:
        for scale, recall in recalls.items():
            health = memory_health(recall)
            named = {f"memory/{stream}/{scale}/{key}": value for key, value in health._asdict().items()}
            self.log_dict(named, on_step=False, on_epoch=True, batch_size=batch_size)

    def on_validation_start(self) -> None:
        """Before the scores are calibrated, learn from the training video what they are relative to."""
        self._judged_share = 1.0
        if self.trainer.state.fn == TrainerFn.FITTING and not self.trainer.sanity_checking:
            self._learn_scene()

    def on_train_epoch_end(self) -> None:
        """Learn the same where nothing is validated."""
        if sum(self.trainer.num_val_batches) == 0:
            self._learn_scene()

    def _learn_scene(self) -> None:
        """Learn it the first time, for whoever stops early, and at the end of the training; not in between."""
        goes_on, deadline = not is_over(self.trainer), time.monotonic() + seconds_after(self.trainer)
        if goes_on and not self._scene_is_new:
            return
        network, clips = self.model, self.trainer.train_dataloader.dataset
        prepare = getattr(self.pre_processor, "transform", None) or torch.nn.Identity()
        was_training = network.training
        network.eval()
        self._normal = learn_normal_view(network, clips)
        learn_view(network, clips, prepare)
        learn_perspective(network, clips, prepare)
        if network.appearance is not None and self._scene_is_new:
            options = self._options
            pictures = learn_looks(network, clips, prepare, options.appearance_cell, options.appearance_every)
            self._examples = Examples(pack(pictures)) if options.appearance_examples else None
        self._scene_is_new = False
        learn_peaks(network, clips, prepare)
        if isinstance(self.post_processor, CalibratedPostProcessor) and not goes_on:
            frames = frames_in(deadline - time.monotonic(), network, clips, prepare)
            frames = max(LEAST_JUDGED, self.trainer.strategy.broadcast(frames))  # devices may differ in speed
            held = getattr(getattr(self.trainer.val_dataloaders, "dataset", None), "num_judged", 0)
            self._judged_share = min(1.0, HELD_OUT * frames / max(1, held))
            most = min(MOST_FRAMES, frames - self._judged_share * held)
            self.post_processor.trained_on = measure_training(network, clips, prepare, most)
        network.train(was_training)

    def validation_step(self, batch: JudgedBatch, batch_idx: int) -> JudgedBatch | None:
        """Judge the frames of each clip that are due; the post-processor calibrates on them."""
        return self._judge(batch) if is_among(batch_idx, self._judged_share) else None

    def test_step(self, batch: JudgedBatch, *args: Any, **kwargs: Any) -> JudgedBatch:  # noqa: ANN401
        """Judge the frames of each clip that are due.

        Raises:
            ValueError: the test data has no labels.
        """
        del args, kwargs
        if batch.gt_label is None:
            msg = f"{batch.video_path[0]} has no labels, so it cannot be tested. Use `anomalib predict` for it."
            raise ValueError(msg)
        return self._judge(batch)

    def predict_step(self, batch: JudgedBatch, *args: Any, **kwargs: Any) -> JudgedBatch:  # noqa: ANN401
        """Judge the frames of each clip that are due."""
        del args, kwargs
        return self._judge(batch)

    def on_predict_batch_end(self, outputs: JudgedBatch, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Keep the judged frame only: anomalib keeps every prediction, and a clip of frames is 8 GiB on Ped2."""
        del args, kwargs
        outputs.image = outputs.image[:, -1:]
        outputs.prediction = None

    def _judge(self, batch: JudgedBatch) -> JudgedBatch:
        """Judge the frames that are due; from here on the batch has one row for each, also in ``image``."""
        window = self.model.window
        first = int(batch.judged.any(dim=0).int().argmax())
        clips, due = batch.image[:, first - window :], batch.judged[:, first:]
        judged = self.model.judge(clips, first_frames(batch, clips.shape[1]))
        leave_out(batch, self.model.exemptions.region)
        # What pictures and controls look at: the judged frame and the one before it.
        batch.image = torch.stack([clips[:, window - 1 : -1][due], clips[:, window:][due]], dim=1)
        return batch.update(
            judged=torch.ones_like(batch.image[:, :, 0, 0, 0], dtype=torch.bool),
            pred_score=judged.score[due],
            anomaly_map=judged.anomaly_map[due][:, None],
            prediction=judged.prediction[due],
            measurements=judged.measurements[due],
            nearest=None if judged.nearest is None else judged.nearest[due],
        )

    # -- training set-up ---------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam (0.9, 0.999), annealed along a cosine over the run, however it is limited."""
        moved = [parameter for parameter in self.parameters() if parameter.requires_grad]
        fused = self.device.type in {"cpu", "cuda"} or None
        optimizer = torch.optim.Adam(moved, lr=self._options.learning_rate, betas=(0.9, 0.999), fused=fused)
        # By the fraction of the run and not CosineAnnealingLR, whose saved T_max would send the rate up again where a
        # resumed run has more epochs than the first.
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: (1 + math.cos(math.pi * share_done(self.trainer, step))) / 2
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def setup(self, stage: str) -> None:
        """Before training, fall back to the demo scene without data, and to ``default_steps`` without a limit.

        Checkpoints are written and read as :class:`WholeCheckpoints` does.

        Raises:
            ValueError: the data labels another frame than the last, or the last epoch would not be validated.
        """
        share_results_folder(self.trainer)
        # anomalib asks the model, not the data, for this hook; Lightning's warning says no more than that.
        warnings.filterwarnings("ignore", message="You have overridden `on_after_batch_transfer`")
        # Of data other than ours the rest of the epoch then draws its clips anew, which is no worse.
        warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before the epoch")
        target = getattr(getattr(self.trainer, "datamodule", None), "target_frame", VideoTargetFrame.LAST)
        if target != VideoTargetFrame.LAST:
            msg = "STMem judges the last frame of a clip; this data labels another. Set --data.target_frame last."
            raise ValueError(msg)
        if not isinstance(self.trainer.strategy.checkpoint_io, WholeCheckpoints):
            self.trainer.strategy.checkpoint_io = WholeCheckpoints(self.trainer.strategy.checkpoint_io)
        if stage != "fit":
            return
        if builtin_demo.is_wanted(self):
            builtin_demo.prepare(self)
        if self.model.appearance is not None:  # now, and not after the training, so that it says now what it lacks
            self.model.appearance.backbone.load_pretrained(self._options.appearance_weights)
        if self._options.seed is not None:
            torch.set_rng_state(self._random_state)
        trainer = self.trainer
        if trainer.max_epochs == LIGHTNING_DEFAULT_EPOCHS and trainer.max_steps == -1:
            trainer.fit_loop.max_epochs, trainer.fit_loop.epoch_loop.max_steps = -1, self._options.default_steps
            logger.warning(
                "Neither --trainer.max_epochs nor max_steps nor max_time is set: training for %d steps "
                "(--model.default_steps).",
                trainer.max_steps,
            )
        put_off_validation(trainer)
        epochs = trainer.max_epochs or 0
        if builtin_demo.is_running(self) and trainer.check_val_every_n_epoch == 1 and epochs > 0:
            trainer.check_val_every_n_epoch = epochs  # calibrating once, at the end, saves a tenth of the demo's time
        every = trainer.check_val_every_n_epoch or 1  # none where validation is put off
        if epochs > 0 and epochs % every:
            msg = (
                f"--trainer.max_epochs {epochs} is not a multiple of --trainer.check_val_every_n_epoch {every}, so the "
                "last weights would be neither calibrated nor saved. Change one of them."
            )
            raise ValueError(msg)

    def train_dataloader(self) -> DataLoader:
        """Clips of the demo scene; asked only when no data is given."""
        return builtin_demo.datamodule(self).train_dataloader()

    def val_dataloader(self) -> DataLoader | list:
        """Clips of the demo scene; asked when no validation data is given."""
        if builtin_demo.is_running(self):
            return builtin_demo.datamodule(self).val_dataloader()
        logger.warning("No validation data given: the scores will have no calibration and no threshold.")
        return []

    def test_dataloader(self) -> DataLoader:
        """Clips of the demo scene; asked only when no data is given."""
        return builtin_demo.datamodule(self).test_dataloader()

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint made with other options, instead of judging with a mixture of both.

        Raises:
            ValueError: an option that the weights or the calibration depend on differs, or weights are not finite.
        """
        refuse_earlier_state(checkpoint)
        refuse_not_finite(checkpoint)
        refuse_other_options(checkpoint, self.hparams)
        super().on_load_checkpoint(checkpoint)
        kept, region = checkpoint["state_dict"], torch.from_numpy(self._region())
        if not bool(region.all()):
            kept[REGION] = kept.get(REGION, torch.ones(1, 1)) * region
        self._learned_with = dict(checkpoint["hyper_parameters"])
        self._learned_epochs = int(checkpoint.get("epoch", -1)) + 1
        if self._trainer is not None and self._trainer.state.fn == TrainerFn.FITTING:
            tell_where_it_goes_on(self._trainer, checkpoint)
        self._proportion = proportion_in(checkpoint)
        self._examples, self._normal = examples_in(checkpoint), normal_in(checkpoint)
        if isinstance(self.post_processor, CalibratedPostProcessor):
            self.post_processor.budget_in_force = self._learned_with["false_alarms_per_hour"]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the proportion of the training video's pictures, which later video must share; and looks in halves."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["hyper_parameters"] |= {"ignore": None, "only": None}  # the weights hold what counts
        for name in checkpoint["state_dict"]:
            if name.startswith("model.appearance.backbone.") or name == "model.appearance.items":
                checkpoint["state_dict"][name] = checkpoint["state_dict"][name].half()
        checkpoint[TRAINING_VIDEO] = {"proportion": self._proportion}
        checkpoint[EXAMPLES] = examples_as_tensor(self._examples)
        checkpoint[NORMAL_VIEW] = None if self._normal is None else self._normal.to_plain()

    def on_test_start(self) -> None:
        """Refuse video that would be squashed to the shape of the training video's."""
        refuse_other_proportions(getattr(self.trainer, "datamodule", None), self._proportion)

    on_predict_start = on_test_start

    def on_train_start(self) -> None:
        """From here on the weights are those of these options, and of this video."""
        self._learned_with = dict(self.hparams)
        self._proportion = proportion_of(getattr(self.trainer, "datamodule", None))
        self._scene_is_new = True
