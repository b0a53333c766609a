"""anomalib's benchmark pipeline, extended where it cannot compare models on video.

It fits and tests each model of a grid. What it lacks for video, and what is changed here and nothing else: one
evaluator for all models (it fails on models with other metrics, after all have run); images for models of images; a
model that cannot be had, or fails, costs its own row only; results are kept as they come, in a folder that stays.
"""

from anomalib.pipelines import Benchmark
from anomalib.pipelines.components import Runner
from anomalib.pipelines.components.runners import SerialRunner


class VideoBenchmark(Benchmark):
    """Benchmark models, on video where the data is one of anomalib-stmem's datamodules.

    A config is anomalib's, and an entry of the grid of models may bring ``trainer: {max_epochs: 15}`` and a ``name``
    for the table, which anomalib's has no place for::

        accelerator: cpu
        benchmark:
          seed: 0
          model:
            grid:
              - class_path: STMem
                name: STMem, narrow
                init_args: {image_size: [80, 120], width: 8}
                trainer: {max_epochs: 15}
              - class_path: Padim
          data:
            class_path: VideoFolder
            init_args: {root: datasets/ped2}
    """

    @staticmethod
    def _setup_runners(args: dict) -> list[Runner]:
        import anomalib_stmem

        name = str(args.get("benchmark", {}).get("data", {}).get("class_path", "")).rsplit(".", 1)[-1]
        if name not in anomalib_stmem.DATAMODULES:
            return Benchmark._setup_runners(args)  # noqa: SLF001  # anomalib's own benchmark, untouched
        from .jobs import VideoJobGenerator  # here, because other commands do not need it

        accelerators = args["accelerator"] if isinstance(args["accelerator"], list) else [args["accelerator"]]
        return [SerialRunner(VideoJobGenerator(accelerator)) for accelerator in accelerators]
