"""Which frames of a source are put forward to be judged; what is left out is counted, each frame under one reason."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .decoding import Decoder
from .frame import Frame, colour
from .frame_rate import FramePicker, Take
from .repeats import Repeats


@dataclass
class Tally:
    """How many frames of a source were read, and left out."""

    read: int = 0
    skipped: int = 0  # between two frames at the training rate
    repeated: int = 0  # the picture before, once more
    damaged: int = 0
    dropped: int = 0  # of live video, because too many wait to be judged
    lost: int = 0  # that were in the source and could not be decoded at all; they are not among those read
    damaged_seconds: list[float] = field(default_factory=list)  # when, of the first of them
    share: float | None = None  # that has been read, in [0, 1], of a source that ends
    rate: float | None = None  # frames per second that are put forward
    source_rate: float | None = None


def chosen_frames(
    decoder: Decoder,
    picker: FramePicker,
    now: Callable[[float | None], float],
    tally: Tally,
    is_wanted: Callable[[], bool],
    starts_anew: bool = False,
    has_room: Callable[[], bool] = lambda: True,
) -> Iterator[Frame]:
    """Give the frames of a decoder that show something new, at the training rate.

    Frames of a source that is frozen are given too, and say so, for somebody must be told.

    Args:
        decoder: of one connection.
        picker: of that connection.
        now: turns the decoder's seconds into those of the source.
        tally: is kept up to date.
        is_wanted: whether to go on.
        starts_anew: whether frames are missing before the first one.
        has_room: whether the frame at hand can wait to be judged; else it is dropped before that costs anything.
    """
    repeats = Repeats()
    while is_wanted() and decoder.advance():
        index, seconds = tally.read, now(decoder.seconds)
        tally.read += 1
        what = picker.take(seconds)
        tally.share, tally.rate, tally.source_rate = decoder.share_read, picker.rate, picker.source_rate
        starts_anew = starts_anew or what is Take.GAP or decoder.follows_gap
        if what is Take.SKIP:
            tally.skipped += 1
            continue
        if decoder.is_damaged:
            tally.damaged, starts_anew = tally.damaged + 1, True
            continue
        if not has_room():
            tally.dropped, starts_anew = tally.dropped + 1, True
            continue
        was_frozen = repeats.is_frozen
        try:
            picture = decoder.picture()
        except ValueError:
            tally.damaged += 1
            raise
        left_out = repeats.num_repeats
        if repeats.is_repeat(picture, seconds):
            tally.repeated += 1
            if repeats.is_frozen:
                yield Frame(index, seconds, colour(picture), frozen_since=repeats.since)
            continue
        anew, file = starts_anew or was_frozen, decoder.file
        is_late = picker.is_late(seconds) and not anew
        yield Frame(index, seconds, colour(picture), anew, is_late, left_out, file)
        starts_anew = False
    tally.lost, tally.damaged_seconds = tally.lost + decoder.damage.num_lost, decoder.damage.seconds
