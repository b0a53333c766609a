"""What every decoder is: frames in order, from a file, a folder of pictures, a camera or a stream."""

from pathlib import Path
from typing import Protocol

from .damage import Damage
from .frame import Picture


class Decoder(Protocol):
    """Frames in order. Advancing is cheap where no picture is asked for."""

    frame_rate: float | None  # frames per second, where the source says
    damage: Damage  # so far
    says_times: bool  # whether times are the source's; else they count frames, or it has no clock
    note: str | None  # a sentence about the source that a person should know
    is_endless: bool  # whether it may not end: a device or a socket, but no file

    def advance(self) -> bool:
        """Go to the next frame; false at the end."""
        ...

    def picture(self) -> Picture:
        """Return the picture of the frame at hand, upright and in its proportions.

        Raises:
            ValueError: it cannot be had; the message names file and frame.
        """
        ...

    @property
    def seconds(self) -> float | None:
        """Time since the first frame by the source's clock, never going back; ``None`` where it has no clock."""
        ...

    @property
    def file(self) -> str | None:
        """Name of the picture at hand, in a folder of pictures."""
        ...

    @property
    def follows_gap(self) -> bool:
        """Whether frames are known to be missing before the frame at hand, or its clock has jumped."""
        ...

    @property
    def is_damaged(self) -> bool:
        """Whether the decoder complained of the frame at hand."""
        ...

    @property
    def share_read(self) -> float | None:
        """How much of the source has been read, in [0, 1]; ``None`` where it may not end."""
        ...

    @property
    def why_ended(self) -> str:
        """Return the reason why no frame came any more, as a part of a sentence."""
        ...

    def close(self) -> None:
        """Let go of the source."""
        ...


class RecordedDecoder(Decoder, Protocol):
    """A decoder of what is on disk."""

    @property
    def length(self) -> float | None:
        """Seconds of all of it, as it says itself; ``None`` where it says nothing."""
        ...

    def seek(self, seconds: float) -> bool:
        """Go on from a time, or from a little before it; false where that cannot be done."""
        ...


def open_recorded(path: Path, frame_rate: float | None = None) -> RecordedDecoder:
    """Open a video file, a pipe or a folder of pictures.

    Args:
        path: of any of them.
        frame_rate: frames per second to count seconds with where the source says no times.

    Raises:
        ValueError: there is no video in it; the message says why.
    """
    if path.is_dir():
        from .pictures import PicturesDecoder

        return PicturesDecoder.of_folder(path, frame_rate)
    from .ffmpeg import FFmpegDecoder

    return FFmpegDecoder(path, frame_rate)
