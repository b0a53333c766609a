"""STMem for anomalib: abnormal events in the video of a fixed camera, learned from normal video only.

=====================  =================================================================================
``registration``       makes the stock ``anomalib`` command know what this package adds
``data``               video -> frames -> reader, cache -> labels, masks -> clips, order -> a datamodule per layout
``model``              clips -> shift, attention, memory -> prediction -> score; the losses
``lightning_model``    ``STMem``: when what is trained, judged and saved
``post_processor``     score -> calibrated ``pred_score``, label, mask
``evaluation``         metrics, thresholds, result tables beside the no-learning controls, curves
``comparison``         ``anomalib benchmark`` on video, and the control as a model
``visualizer``         pictures of judged frames
``streaming``          frame + state -> score, map + state; the same by torch, ONNX Runtime or OpenVINO
``record``             verdicts -> scores, events, films and pictures of each video
``watching``           ``stmem watch`` and ``calibrate``: sources -> frames -> streams -> events as they happen
``page``               ``stmem report``: results -> one HTML page
``cli``                the command ``stmem``; ``demo_story`` is ``stmem demo``
``export``             the model as ONNX and OpenVINO files; ``predictor`` runs them on clips
=====================  =================================================================================

Nothing is imported until a name is asked for.
"""

from . import registration

registration.install()

__version__ = "0.1.0"

_HOME = {
    "STMem": ".lightning_model",
    "CalibratedPostProcessor": ".post_processor",
    "ClipPredictor": ".predictor",
    "ClipVisualizer": ".visualizer",
    "FrameStream": ".streaming.stream",
    "FrameStreams": ".streaming.stream",
    "VideoArchive": ".data.archive",
    "VideoFolder": ".data.folder",
    "VideoPaths": ".data.paths",
    "UCSDClips": ".data.ucsd",
    "AvenueClips": ".data.avenue",
    "ShanghaiTechClips": ".data.shanghaitech",
    "WalkwayDemo": ".data.demo",
    "Moment": ".record.events",
    "VideoRecord": ".record.video_record",
    "calibrate": ".watching.calibrate",
    "watch": ".watching.watch",
    "write_page": ".page.page",
    "FrameDifference": ".comparison.frame_difference",
    "VideoBenchmark": ".comparison.pipeline",
    "write_scene": ".data.scene",
}
DATAMODULES = registration.ADDED["anomalib.data"]
__all__ = [
    "AvenueClips",
    "CalibratedPostProcessor",
    "ClipPredictor",
    "ClipVisualizer",
    "FrameDifference",
    "FrameStream",
    "FrameStreams",
    "Moment",
    "STMem",
    "ShanghaiTechClips",
    "UCSDClips",
    "VideoArchive",
    "VideoBenchmark",
    "VideoFolder",
    "VideoPaths",
    "VideoRecord",
    "WalkwayDemo",
    "calibrate",
    "watch",
    "write_page",
    "write_scene",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    return getattr(import_module(_HOME[name], __name__), name)
