"""Width by height of pictures: those of a model's later video must have the proportion of its training video."""

from collections.abc import Iterable

from .frame import Size

TOLERANCE = 0.1  # of the proportion: 4:3 is not 3:2, but 704x576 without a word on its pixels may be 4:3


def proportion(size_hw: Size) -> float:
    """Return width by height."""
    return size_hw[1] / size_hw[0]


def common_proportion(sizes: Iterable[Size]) -> float | None:
    """Return the proportion that pictures of these sizes share; ``None`` where there is none."""
    found = sorted(proportion(size) for size in sizes)
    return found[0] if found and found[-1] / found[0] - 1 <= TOLERANCE else None


def refuse_other_proportion(shown: str, size_hw: Size, trained_at: float | None) -> None:
    """Refuse a picture that would be squashed to the shape of the training video's.

    Args:
        shown: what has the picture, as it may be shown.
        size_hw: of the picture.
        trained_at: width by height of the training video's; ``None`` where nobody knows.

    Raises:
        ValueError: it has another proportion.
    """
    if trained_at is not None and abs(proportion(size_hw) / trained_at - 1) > TOLERANCE:
        msg = (
            f"The picture of {shown} is {size_hw[1]}x{size_hw[0]} pixels, {proportion(size_hw):.2f} times as wide as "
            f"high; the training video's was {trained_at:.2f} times. Everything in it would be squashed. Turn or crop "
            "it to that proportion, or train on video of this camera."
        )
        raise ValueError(msg)
