"""How the stock ``anomalib`` command comes to know STMem.

anomalib has no entry points, and finds models and datamodules among the classes already imported. So the wheel holds
``anomalib_stmem.pth``, which Python runs at every start. It waits for ``import anomalib``, then installs the watcher
below. That adds our classes to ``anomalib.models`` and ``anomalib.data``, our pipeline to ``anomalib benchmark``, and
videos to the paths that ``anomalib predict`` takes, as soon as these have run. A patched ``anomalib`` script would not
be the stock one; an entry point nobody would load. ``ANOMALIB_STMEM_REGISTER=0`` turns it off;
``--model anomalib_stmem.STMem`` works either way.
"""

import os
import sys
from functools import wraps
from itertools import pairwise

SWITCH = "ANOMALIB_STMEM_REGISTER"
PIPELINES = "anomalib.cli.pipelines"
ENGINE = "anomalib.engine.engine"
COMMAND = "anomalib.cli.cli"
# What each anomalib package gains once it is imported.
ADDED = {
    "anomalib.models": ("STMem", "FrameDifference"),
    "anomalib.data": (
        *(
            "VideoFolder",
            "NormalVideos",
            "UCSDClips",
            "AvenueClips",
            "ShanghaiTechClips",
            "VideoArchive",
            "WalkwayDemo",
        ),
    ),
    PIPELINES: ("VideoBenchmark",),
    ENGINE: (),  # but its `predict` learns that a path may hold video
    COMMAND: (),  # but its `predict --data PATH` learns to take options
}


def install() -> None:
    """Watch for anomalib, unless switched off or watching already."""
    if os.environ.get(SWITCH) == "0" or any(isinstance(finder, _Watcher) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Watcher())


def register(package: str) -> None:
    """Add our classes to an imported anomalib package. Calling it again changes nothing.

    Raises:
        RuntimeError: the package has something else under one of our names.
    """
    import anomalib_stmem

    module = sys.modules[package]  # not by import: anomalib itself may be half imported
    for name in ADDED[package]:
        ours = getattr(anomalib_stmem, name)
        if getattr(module, name, ours) is not ours:
            message = f"{package}.{name} exists already and is {getattr(module, name)!r}"
            raise RuntimeError(message)
        setattr(module, name, ours)
    if package == PIPELINES and module.PIPELINE_REGISTRY is not None:
        module.PIPELINE_REGISTRY["benchmark"] = anomalib_stmem.VideoBenchmark  # hands back what is not on video
    if package == ENGINE:
        _accept_video_paths(module.Engine)
    if package == COMMAND:
        _accept_options_of_paths(module.AnomalibCLI)


def _accept_options_of_paths(command_class) -> None:  # noqa: ANN001
    """Let ``predict --data PATH`` take ``--data.frame_rate`` and the like; anomalib has options for classes only."""
    begin = command_class.__init__
    if hasattr(begin, "__wrapped__"):
        return

    @wraps(begin)
    def begin_with_path(self, args=None, run=True) -> None:  # noqa: ANN001
        given = as_video_paths(sys.argv[1:] if args is None else args)
        refuse_unreadable_configs(given)
        begin(self, given, run)

    command_class.__init__ = begin_with_path


def as_video_paths(arguments):  # noqa: ANN001, ANN201
    """Name the class of a path that is to be predicted with options; all other arguments stay as they are."""
    given = list(arguments)
    place = given.index("--data") + 1 if "--data" in given else len(given)
    options = any(argument.startswith("--data.") for argument in given)
    if given[:1] != ["predict"] or not options or place >= len(given) or not os.path.exists(given[place]):  # noqa: PTH110  # no import
        return given
    return [*given[:place], "anomalib_stmem.VideoPaths", "--data.path", given[place], *given[place + 1 :]]


def refuse_unreadable_configs(arguments) -> None:  # noqa: ANN001
    """End with a sentence where a config is no text; jsonargparse ends in a traceback that does not name it.

    Raises:
        SystemExit: one is not.
    """
    given = list(arguments)
    separate = [value for name, value in pairwise(given) if name in {"-c", "--config"}]
    joined = [name.partition("=")[2] for name in given if name.startswith("--config=")]
    path = ""
    try:
        for path in filter(os.path.isfile, separate + joined):
            with open(path, encoding="utf-8") as file:  # noqa: PTH123  # no import
                file.read()
    except UnicodeDecodeError as error:
        where = f"{error.reason} at byte {error.start}"
        print(f"error: {path} is no config, which is text in UTF-8: {where}.", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None


def _accept_video_paths(engine_class) -> None:  # noqa: ANN001
    """Let ``predict(data_path=...)`` of STMem take videos; anomalib itself looks for images at any path."""
    predict = engine_class.predict
    if hasattr(predict, "__wrapped__"):
        return

    @wraps(predict)  # the command line reads its signature and help
    def predict_paths(self, model=None, *args, data_path=None, **kwargs):  # noqa: ANN001, ANN002, ANN003, ANN202
        from anomalib_stmem import STMem, VideoPaths

        if isinstance(kwargs.get("datamodule"), VideoPaths):
            kwargs["return_predictions"] = bool(kwargs.get("return_predictions"))  # else all frames stay in memory
        elif data_path is not None and isinstance(model or self.model, STMem):
            window = (model or self.model).model.window
            # One worker reads a video from start to end; of two, the second part would wait in memory for the first.
            kwargs["datamodule"] = VideoPaths(data_path, clip_length_in_frames=window + 1, num_workers=1)
            kwargs["return_predictions"] = bool(kwargs.get("return_predictions"))  # else all frames stay in memory
            data_path = None
        return predict(self, model, *args, data_path=data_path, **kwargs)

    engine_class.predict = predict_paths


class _Watcher:
    """A finder that finds nothing itself: it lets the others find a module, and registers after the module has run.

    Our own modules are watched too: while one of them is being imported, and imports anomalib, none of ours is complete
    yet, and registration waits until the outermost has run.
    """

    def __init__(self) -> None:
        self._ours_running = 0
        self._pending: list[str] = []  # anomalib packages that have run and were not yet added to

    def find_spec(self, name, path=None, target=None):  # noqa: ANN001, ANN202  # typing costs start-up time
        if name not in ADDED and not name.startswith("anomalib_stmem."):
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                break
        else:
            return None
        if spec.loader is not None:
            self._follow(spec.loader, name)
        return spec

    def _follow(self, loader, name: str) -> None:  # noqa: ANN001
        run, ours = loader.exec_module, name not in ADDED

        def run_and_register(module) -> None:  # noqa: ANN001
            self._ours_running += ours
            try:
                run(module)
            finally:
                self._ours_running -= ours
            if not ours:
                self._pending.append(name)
            while self._pending and not self._ours_running:
                _register_or_warn(self._pending.pop())

        loader.exec_module = run_and_register


def _register_or_warn(package: str) -> None:
    try:
        register(package)
    except Exception as error:  # noqa: BLE001  # whatever is wrong with us must not break anomalib
        import warnings

        warnings.warn(
            f"anomalib-stmem could not add {', '.join(ADDED[package])} to {package}: {type(error).__name__}: {error}. "
            f"anomalib works without; {SWITCH}=0 silences this.",
            RuntimeWarning,
            stacklevel=2,
        )
