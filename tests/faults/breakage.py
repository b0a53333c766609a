"""Ways in which bytes on a disk go wrong, drawn from a seed."""

import random
from collections.abc import Callable

Way = Callable[[bytearray, bytes, random.Random], bytearray]


def flip(data: bytearray, _other: bytes, draw: random.Random) -> bytearray:
    """One to 32 bytes become others."""
    for _ in range(draw.choice((1, 1, 2, 8, 32))):
        data[draw.randrange(len(data))] = draw.randrange(256)
    return data


def cut(data: bytearray, _other: bytes, draw: random.Random) -> bytearray:
    """The end is missing."""
    return data[: draw.randrange(len(data))]


def zero(data: bytearray, _other: bytes, draw: random.Random) -> bytearray:
    """A block was never written."""
    first, last = _stretch(data, draw)
    data[first:last] = bytes(last - first)
    return data


def repeat(data: bytearray, _other: bytes, draw: random.Random) -> bytearray:
    """A block was written twice."""
    first, last = _stretch(data, draw)
    return data[:last] + data[first:]


def lose(data: bytearray, _other: bytes, draw: random.Random) -> bytearray:
    """A block is missing."""
    first, last = _stretch(data, draw)
    return data[:first] + data[last:]


def splice(data: bytearray, other: bytes, draw: random.Random) -> bytearray:
    """The file goes on as another one of its kind."""
    place = draw.randrange(len(data))
    return data[:place] + bytearray(other[min(place, len(other)) :])


def lie(data: bytearray, _other: bytes, draw: random.Random) -> bytearray:
    """Four or eight bytes in a row, which may be a length, become a number at the edge."""
    width = min(len(data), draw.choice((4, 8)))
    place = draw.randrange(len(data) - width + 1)
    number = draw.choice((0, 1, 2 ** (8 * width - 1) - 1, 2 ** (8 * width - 1), 2 ** (8 * width) - 1, 10**6))
    data[place : place + width] = (number % 2 ** (8 * width)).to_bytes(width, draw.choice(("big", "little")))
    return data


WAYS: tuple[Way, ...] = (flip, cut, zero, repeat, lose, splice, lie)


def broken(data: bytes, other: bytes, draw: random.Random) -> tuple[str, bytes]:
    """Break bytes in one way; half of the time at their head, which says what the rest is.

    Args:
        data: not empty.
        other: of another file of the same kind.
        draw: what decides.

    Returns:
        The name of the way, and other bytes than were given, or the same by chance.
    """
    way = draw.choice(WAYS)
    head = min(len(data), draw.choice((512, 4096))) if way not in {cut, splice} and draw.random() < 0.5 else len(data)
    return way.__name__, bytes(way(bytearray(data[:head]), other, draw)) + data[head:]


def _stretch(data: bytearray, draw: random.Random) -> tuple[int, int]:
    length = min(len(data), draw.choice((1, 16, 512, 4096)))
    first = draw.randrange(len(data) - length + 1)
    return first, first + length
