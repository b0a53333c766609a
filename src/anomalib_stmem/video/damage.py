"""What is damaged or missing in a video, counted while it is decoded, and put in a sentence."""

from dataclasses import dataclass, field
from typing import Literal

DAMAGED_ABOVE = 0.05  # share of a video's frames or seconds; a little is common, and said without being refused
KEPT_TIMES = 1000  # of damaged frames that are remembered one by one

OnDamage = Literal["refuse", "keep"]


@dataclass
class Damage:
    """What FFmpeg, or a reader of pictures, complained of."""

    num_frames: int = 0  # that are damaged, with the lost ones
    num_lost: int = 0  # that could not be decoded at all
    num_seen: int = 0  # frames, with the damaged and the lost ones
    seconds: list[float] = field(default_factory=list)  # when; the first :data:`KEPT_TIMES` of them
    complaint: str = ""  # the first one, in the decoder's words
    ends_early: bool = False  # whether the source broke off
    missing_seconds: float = 0.0  # of video that a whole file would have had after its end

    def note(self, seconds: float | None, complaint: str) -> None:
        """Count a damaged frame."""
        self.num_frames += 1
        self.complaint = self.complaint or complaint
        if seconds is not None and len(self.seconds) < KEPT_TIMES:
            self.seconds.append(round(seconds, 3))

    @property
    def is_grave(self) -> bool:
        """Whether the video broke off, or too much of it is damaged to pass as whole."""
        return self.ends_early or self.num_frames > DAMAGED_ABOVE * self.num_seen

    def explain(self, shown: str, until: float | None = None) -> str | None:
        """Say what is damaged or missing, where; ``None`` if nothing is.

        Args:
            shown: the source, as it may be shown.
            until: seconds of the video that could be decoded.
        """
        said = []
        if self.num_frames:
            when = f", the first at {self.seconds[0]:.1f} s" if self.seconds else ""
            why = f" ({self.complaint})" if self.complaint else ""
            said.append(f"{self.num_frames} of {self.num_seen} frames are damaged{when}{why}")
        if self.ends_early:
            end = "it is cut off" if until is None else f"it is cut off at {until:.1f} s"
            rest = f", and {self.missing_seconds:.1f} s are missing" if self.missing_seconds else ""
            said.append(end + rest)
        return f"{shown}: {'; '.join(said)}." if said else None
