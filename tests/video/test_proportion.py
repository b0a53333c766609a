"""Pictures of another proportion than the training video's are refused in a sentence, never squashed."""

import pytest

from anomalib_stmem.video.proportion import common_proportion, refuse_other_proportion


@pytest.mark.parametrize(
    ("sizes", "shared"),
    [
        ([(240, 360)], 1.5),
        ([(240, 360), (480, 720)], 1.5),
        ([(240, 320), (288, 352)], 352 / 288),  # 4:3, and what calls itself so
        ([(240, 360), (360, 240)], None),
        ([], None),
    ],
)
def test_shared_proportion(sizes: list[tuple[int, int]], shared: float | None) -> None:
    assert common_proportion(sizes) == (shared if shared is None else pytest.approx(shared))


def test_what_fits_passes_and_what_does_not_is_named() -> None:
    refuse_other_proportion("gate", (240, 360), 1.5)
    refuse_other_proportion("gate", (480, 700), 1.5)
    refuse_other_proportion("gate", (360, 240), None)  # nobody knows
    with pytest.raises(ValueError, match=r"gate is 320x240 pixels"):
        refuse_other_proportion("gate", (240, 320), 1.5)
    with pytest.raises(ValueError, match=r"gate is 240x360 pixels, 0\.67 times as wide as high; .* was 1\.50 times"):
        refuse_other_proportion("gate", (360, 240), 1.5)
