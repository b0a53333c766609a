"""STMem for anomalib: abnormal events in the video of a fixed camera, learned from normal video only.

Imports go down this list, never up:

===================  ===========================================================================================
``video``            a file, folder, camera or URL -> frames with time stamps
``data``             videos, labels, masks -> clips, in anomalib's datamodules
``model``            clips -> predictions -> scores; ``TrainedModel``, what a checkpoint holds
``evaluation``       scores and labels -> metrics, tables beside no-learning controls, thresholds
``results``          judged frames -> scores, events, films and pictures of a video, text of a report
``runtime``          trained model -> verdicts frame by frame, by torch, ONNX Runtime or OpenVINO; export
``shell``            what anomalib's trainer calls: batches, post-processor, pictures, records
``lightning_model``  ``STMem``, the model that anomalib trains
``watching``         ``stmem watch``, ``calibrate``, ``accept``: sources -> events, or a model that knows more
``page``             ``stmem report``: results -> one HTML page
``comparison``       ``anomalib benchmark`` on video, and the control as a model
``learning``         ``stmem learn``: normal video and some minutes -> a checkpoint
``demo``             ``stmem demo``: all of it on a drawn scene
``cli``              the command ``stmem``
``registration``     makes the stock ``anomalib`` command know what this package adds
===================  ===========================================================================================

Nothing is imported until a name is asked for.
"""

from . import registration

registration.install()

__version__ = "0.1.0"

_HOME = {
    "STMem": ".lightning_model",
    "TrainedModel": ".model.trained_model",
    "CalibratedPostProcessor": ".shell.post_processor",
    "ClipPredictor": ".runtime.clip_predictor",
    "ClipVisualizer": ".shell.visualizer",
    "FrameStream": ".runtime.stream",
    "FrameStreams": ".runtime.stream",
    "NormalVideos": ".data.normal",
    "VideoArchive": ".data.archive",
    "VideoFolder": ".data.folder",
    "VideoPaths": ".data.paths",
    "UCSDClips": ".data.ucsd",
    "AvenueClips": ".data.avenue",
    "ShanghaiTechClips": ".data.shanghaitech",
    "WalkwayDemo": ".data.walkway",
    "Frame": ".video.frame",
    "JudgedFrame": ".results.judged_frame",
    "VideoResults": ".results.video_results",
    "accept": ".watching.accept",
    "accepted": ".watching.accept",
    "calibrate": ".watching.calibrate",
    "forget": ".watching.accept",
    "learn": ".learning.learn",
    "snapshot": ".watching.snapshot",
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
    "Frame",
    "FrameDifference",
    "FrameStream",
    "FrameStreams",
    "JudgedFrame",
    "NormalVideos",
    "STMem",
    "ShanghaiTechClips",
    "TrainedModel",
    "UCSDClips",
    "VideoArchive",
    "VideoBenchmark",
    "VideoFolder",
    "VideoPaths",
    "VideoResults",
    "WalkwayDemo",
    "accept",
    "accepted",
    "calibrate",
    "forget",
    "learn",
    "snapshot",
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
