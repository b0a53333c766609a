"""``anomalib export`` for a model of clips: anomalib's own traces one image."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile, rmtree
from tempfile import TemporaryDirectory
from typing import Any

from anomalib.data import AnomalibDataModule
from anomalib.deploy.export import CompressionType, ExportType
from anomalib.models.components.base.export_mixin.utils import create_export_root

from ..model.trained_model import TrainedModel
from ..results.files import sync
from ..runtime.backend import examples_beside, need
from ..runtime.checksums import SEAL, seal
from ..runtime.export import export_clips, export_step, to_openvino
from .int8_video import calibration_clips, calibration_looks, calibration_steps


class ClipExport:
    """anomalib's ``to_onnx`` and ``to_openvino`` for a model of clips. Subclassed because its own trace one image.

    Beside the graph of clips, each writes the graph of the streaming step as ``stream.onnx`` or ``stream.xml``, and,
    where looks count, theirs as ``stream_looks``.
    """

    trained: TrainedModel

    def to_onnx(
        self,
        export_root: Path | str,
        model_file_name: str = "model",
        input_size: tuple[int, int] | None = None,
        clip_length: int | None = None,
        **kwargs: Any,
    ) -> Path:
        """Export to ONNX; the batch size stays free.

        Args:
            export_root: folder that gets ``weights/onnx``.
            model_file_name: of the graph of clips, without suffix.
            input_size: anomalib's option; only the model's ``image_size``, the default, can be exported.
            clip_length: frames per clip; ``window + 1`` by default (``--onnx_kwargs "{clip_length: 16}"``).
            **kwargs: of ``torch.onnx.export``.

        Returns:
            The file of the graph of clips.

        Raises:
            ValueError: another ``input_size``, or a clip that is too short.
        """
        trained_at = self.trained.image_size
        if input_size is not None and tuple(input_size) != trained_at:
            msg = (
                f"--input_size {list(input_size)} is not the model's image_size, {list(trained_at)}. Leave it out; "
                "whoever runs the file resizes frames to that size, as FrameStream does."
            )
            raise ValueError(msg)
        folder = create_export_root(export_root, ExportType.ONNX)
        with _moved_when_whole(folder) as scratch:
            export_clips(self.trained, scratch / f"{model_file_name}.onnx", clip_length, **kwargs)
            export_step(self.trained, scratch / "stream.onnx", **kwargs)
        return folder / f"{model_file_name}.onnx"

    def to_openvino(
        self,
        export_root: Path | str,
        model_file_name: str = "model",
        input_size: tuple[int, int] | None = None,
        compression_type: CompressionType | None = None,
        datamodule: AnomalibDataModule | None = None,
        ov_kwargs: dict[str, Any] | None = None,
        onnx_kwargs: dict[str, Any] | None = None,
        **unused: Any,
    ) -> Path:
        """Export to OpenVINO; the batch size stays free.

        Args:
            export_root: folder that gets ``weights/openvino``.
            model_file_name: of the graph of clips, without suffix.
            input_size: as in :meth:`to_onnx`.
            compression_type: as in :func:`to_openvino`.
            datamodule: with normal video, for ``INT8_PTQ``.
            ov_kwargs: of ``openvino.convert_model``.
            onnx_kwargs: of :meth:`to_onnx`.
            **unused: of anomalib's accuracy-aware compression, which is not offered.

        Returns:
            The file of the graph of clips.
        """
        del unused
        need("openvino")
        trained, options = self.trained, dict(onnx_kwargs or {})
        length = options.get("clip_length") or trained.window + 1
        folder = create_export_root(export_root, ExportType.OPENVINO)
        graphs = (
            (model_file_name, lambda: calibration_clips(datamodule, length, trained.image_size)),
            ("stream", lambda: calibration_steps(trained, datamodule)),
            ("stream_looks", lambda: calibration_looks(trained, datamodule)),
        )[: 3 if trained.network.appearance is not None else 2]
        with TemporaryDirectory() as other, _moved_when_whole(folder) as scratch:
            source = self.to_onnx(other, model_file_name, input_size, **options).parent
            for name, calibration in graphs:
                inputs = calibration() if compression_type == CompressionType.INT8_PTQ else ()
                converted = scratch / f"{name}.xml"
                to_openvino(source / f"{name}.onnx", converted, compression_type, inputs, **(ov_kwargs or {}))
            if examples_beside(source / "stream.onnx").is_file():
                copyfile(examples_beside(source / "stream.onnx"), examples_beside(scratch / "stream.xml"))
            seal(scratch / "stream.xml")
        return folder / f"{model_file_name}.xml"


@contextmanager
def _moved_when_whole(folder: Path) -> Iterator[Path]:
    """Yield a folder to write to; at the end its files move to ``folder``, the check sums first.

    So an export that is broken off leaves the one of before, or files that do not agree with their check sums.
    """
    scratch = folder / "unfinished"
    rmtree(scratch, ignore_errors=True)  # of an export that was killed
    scratch.mkdir()
    try:
        yield scratch
        for file in sorted(scratch.iterdir(), key=lambda file: (file.suffix != SEAL, file.name)):
            sync(file)
            file.replace(folder / file.name)
    finally:
        rmtree(scratch, ignore_errors=True)
