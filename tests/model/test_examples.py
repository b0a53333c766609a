import numpy as np
import pytest

from anomalib_stmem.model.examples import SIDE, Examples, pack


@pytest.mark.parametrize("channels", [1, 3])
def test_each_item_finds_its_picture(channels: int) -> None:
    levels = [20, 90, 160, 230, 60]
    examples = Examples(pack([np.full((channels, 20, 20), level, np.uint8) for level in levels]))
    for item, level in enumerate(levels):
        assert examples[item].shape == (SIDE, SIDE, 3)
        assert abs(float(examples[item].mean()) - level) < 4


def test_colours_are_those_of_cv2() -> None:
    red = np.zeros((3, 40, 40), np.uint8)
    red[0] = 255
    assert Examples(pack([red]))[0][16, 16].tolist()[2] > 200


def test_more_pictures_follow_the_first_ones() -> None:
    first = Examples(pack([np.full((1, 32, 32), level, np.uint8) for level in (30, 200)]))
    grown = first.and_more(2, [np.full((1, 32, 32), 120, np.uint8)])
    assert [round(float(grown[item].mean()), -1) for item in range(3)] == [30, 200, 120]


def test_damaged_sheet_is_refused() -> None:
    with pytest.raises(ValueError, match="sheet of normal examples is damaged"):
        Examples(b"no picture")
