"""A film is written beside the watch, and is whole or gone."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from anomalib_stmem.results.film import AHEAD, Film
from anomalib_stmem.video.recorded import open_video

SIZE_WH = (64, 48)


def level(number: int) -> np.ndarray:
    return np.full((*SIZE_WH[::-1], 3), 40 + 6 * number, np.uint8)


def filmed(film: Film, num_images: int) -> None:
    for number in range(num_images):
        film.write(level(number), number / 10)
    film.close()


def test_every_image_is_in_it_in_order(tmp_path: Path) -> None:
    film = Film(tmp_path / "film.mp4", SIZE_WH, 10.0)
    for number in range(3 * AHEAD):
        film.write(level(number), number / 10)
    assert not (tmp_path / "film.mp4").exists()
    film.close()
    shown = [frame.mean() for frame in open_video(tmp_path / "film.mp4").frames()]
    assert shown == pytest.approx([40 + 6 * number for number in range(3 * AHEAD)], abs=5)


@pytest.mark.parametrize("num_images", [1, 3 * AHEAD])
def test_disk_that_takes_no_more_is_said_by_a_later_image_or_at_the_end(
    num_images: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    film = Film(tmp_path / "film.mp4", SIZE_WH, 10.0)
    monkeypatch.setattr(film, "_encode", no_room)
    with pytest.raises(OSError, match="No space left"):
        filmed(film, num_images)
    assert not list(tmp_path.iterdir())


def test_film_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    film = Film(tmp_path / "film.mp4", SIZE_WH, 10.0)
    for number in range(AHEAD):
        film.write(level(number), number / 10)
    film.discard()
    assert not list(tmp_path.iterdir())
