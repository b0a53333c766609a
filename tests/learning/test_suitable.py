"""What is said of video that will make a poor model."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from makers import picture

from anomalib_stmem.learning.suitable import Look, look_at, warnings_about
from anomalib_stmem.video.recorded import open_video

SIZE = (96, 128)


def scene(seed: int) -> np.ndarray:
    """A place with something to see in it, wider than the picture."""
    noise = np.random.default_rng(seed).integers(0, 255, (SIZE[0] // 3, SIZE[1], 3), np.uint8)
    return cv2.resize(noise, (3 * SIZE[1], SIZE[0]), interpolation=cv2.INTER_LINEAR)


def look(folder: Path, pictures: list[np.ndarray]) -> Look:
    folder.mkdir()
    for number, image in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number:03d}.png"), image)
    return look_at(folder.name, len(pictures) / 10, open_video(folder))


def passing(view: np.ndarray, count: int = 20) -> list[np.ndarray]:
    """Somebody crosses the picture."""
    pictures = []
    for number in range(count):
        image = view[:, : SIZE[1]].copy()
        image[30:60, 4 * number : 4 * number + 12] = 255 - image[30:60, 4 * number : 4 * number + 12]
        pictures.append(image)
    return pictures


def test_usual_video_is_only_said_to_be_without_night(tmp_path: Path) -> None:
    usual = look(tmp_path / "usual", passing(scene(0)))
    assert usual.moving == 1
    (said,) = warnings_about([usual])
    assert "Take video of the night too" in said


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        ([scene(0)[:, : SIZE[1]]] * 20, "Hardly anything moves in this video (in 0% of 40 looks)"),
        ([scene(0)[:, 6 * n : 6 * n + SIZE[1]] for n in range(20)], "the camera moves"),
        ([(0.1 * image).astype(np.uint8) for image in passing(scene(0))], "All of the video is dark"),
        ([picture(90, n, SIZE) for n in range(20)], "All of the video is without colour"),
        (passing(scene(0)) + [np.zeros((*SIZE, 3), np.uint8)] * 5, "of the pictures show nothing"),
    ],
)
def test_what_will_come_of_it_is_said(pictures: list[np.ndarray], words: str, tmp_path: Path) -> None:
    assert words in " ".join(warnings_about([look(tmp_path / "video", pictures)]))


def test_two_cameras_are_told_from_one_by_day_and_night(tmp_path: Path) -> None:
    gate, yard = (look(tmp_path / name, passing(scene(seed))) for name, seed in (("gate", 0), ("yard", 1)))
    night = look(tmp_path / "night", [(0.3 * image).astype(np.uint8) for image in passing(scene(0))])
    assert "gate and yard show different views" in " ".join(warnings_about([gate, yard]))
    assert "different views" not in " ".join(warnings_about([gate, night]))


def test_black_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="The video shows nothing"):
        warnings_about([look(tmp_path / "black", [np.zeros((*SIZE, 3), np.uint8)] * 10)])
