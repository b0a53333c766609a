"""anomalib's own video datamodules under STMem, on a generated look-alike of their tree."""

from pathlib import Path

import cv2
import pandas as pd
import pytest
from anomalib.engine import Engine
from conftest import TINY_MODEL

from anomalib_stmem import STMem
from anomalib_stmem.data.scene import draw_video

pytest.importorskip("av", reason="anomalib's video datamodules demand av")


@pytest.fixture(scope="module")
def ucsd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ucsd")
    for split, number, anomaly in (("Train", 1, None), ("Train", 2, None), ("Test", 1, "run"), ("Test", 2, "cycle")):
        folder = root / "UCSDped2" / split / f"{split}{number:03d}"
        folder.mkdir(parents=True)
        truth = folder.with_name(f"{folder.name}_gt")
        truth.mkdir()
        for index, frame in enumerate(draw_video(number, 20, anomaly), start=1):
            cv2.imwrite(str(folder / f"{index:03d}.tif"), frame.image)
            if split == "Test":
                cv2.imwrite(str(truth / f"{index:03d}.bmp"), frame.mask)
    return root


def ucsd_data(root: Path, **options):  # noqa: ANN003, ANN201
    from anomalib.data import UCSDped

    return UCSDped(root=root, num_workers=0, frames_between_clips=1, train_batch_size=4, **options)


def test_ucsdped_trains_and_tests(ucsd: Path, tmp_path: Path) -> None:
    model = STMem(**TINY_MODEL)
    engine = Engine(default_root_dir=tmp_path, max_epochs=1, accelerator="cpu", enable_progress_bar=False)
    (results,) = engine.train(model, datamodule=ucsd_data(ucsd, clip_length_in_frames=6))
    assert 0 <= results["image_AUROC"] <= 1
    (record,) = tmp_path.rglob("test*/scores.csv")
    frames = pd.read_csv(record)
    assert frames.groupby("video").frame.apply(list).tolist() == [[*range(5, 20)]] * 2
    # Two videos of one data set never share a name, nor a picture.
    assert frames.video.unique().tolist() == ["UCSDped2/Test/Test001", "UCSDped2/Test/Test002"]
    pictures = [path.relative_to(path.parents[3]).as_posix() for path in tmp_path.rglob("*_highest.png")]
    assert sorted(pictures) == [f"images/UCSDped2/Test/Test00{number}_highest.png" for number in (1, 2)]


def test_its_default_clip_is_refused_with_the_option_to_change(ucsd: Path, tmp_path: Path) -> None:
    engine = Engine(default_root_dir=tmp_path, max_epochs=1, accelerator="cpu", enable_progress_bar=False)
    with pytest.raises(ValueError, match=r"clips of 2 frames.*--data\.clip_length_in_frames 6"):
        engine.fit(STMem(**TINY_MODEL), datamodule=ucsd_data(ucsd))


def test_other_target_frames_are_refused(ucsd: Path, tmp_path: Path) -> None:
    engine = Engine(default_root_dir=tmp_path, max_epochs=1, accelerator="cpu", enable_progress_bar=False)
    with pytest.raises(ValueError, match=r"judges the last frame.*--data\.target_frame last"):
        engine.fit(STMem(**TINY_MODEL), datamodule=ucsd_data(ucsd, clip_length_in_frames=6, target_frame="mid"))
