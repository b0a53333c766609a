"""Writes everything that is kept of one video, while it is judged."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import cv2

from ..video.frame import Frame, Image
from ..video.region import Polygon
from .event_tracker import Change, Event, EventTracker
from .files import ANNOTATED, CURVE, EVENTS, PLAIN, SCORES, to_json, whole_file, write_text
from .film import Film
from .heat import cover_with_heat
from .judged_frame import JudgedFrame
from .painting import Painter, dim_ignored
from .scores_table import ScoresTable

CLIP_SECONDS = 60.0  # of an event that a clip shows, beside what was before

Announce = Callable[[str, dict[str, Any]], None]


@dataclass
class Unfolding:
    """An event whose clip is not whole yet."""

    event: Event
    peak: JudgedFrame
    film: Film | None  # None once it is long enough
    plain: Film | None  # the same without anything drawn on it, where that is kept
    clip_start: float  # seconds, of the first frame of the clip
    is_over: bool = False

    def write(self, annotated: Image, frame: Frame) -> None:
        """Add a frame, as it is drawn and as it is."""
        if self.film is not None:
            self.film.write(annotated, frame.seconds)
        if self.plain is not None:
            self.plain.write(frame.image, frame.seconds)

    def close(self) -> None:
        """Finish the clips."""
        for film in (self.film, self.plain):
            if film is not None:
                film.close()
        self.film = self.plain = None


class VideoResults:
    """Scores, events and films of one video, in a folder of its own.

    ``scores.csv`` and ``scores.jsonl``: one row per judged frame, with frame, seconds, pred_score (of this frame
    alone), level (which decides), pred_label (whether there is an alarm) and, where they are known, label and time of
    day. ``events.json`` and ``events.csv``: start, end and peak in seconds and frames, score, boxes of the peak frame
    and the reason. ``events/NNNN.jpg``, ``.mp4``: the peak frame of each, and a clip. ``annotated.mp4`` and
    ``plain.mp4``: the whole video with and without heat map, boxes and score.
    ``curve.png``: the score over time.

    Args:
        folder: of the video.
        name: of the video, as results call it.
        frame_rate: frames per second of the frames that come.
        films_whole_video: whether to write the two whole films; clips of events are always written.
        margin: seconds that a clip shows before and after its event.
        began: time of day of the first frame, for live video.
        least_size: as :class:`~.event_tracker.EventTracker` has it.
        keeps_plain: whether each event also keeps a clip without anything drawn on it, which `stmem accept` reads where
            the source cannot be read again.
        num_before: events of the video that were told before.
        ignored: polygons of what of the picture does not count, which films and snapshots show.
        announce: is told what happens as it happens: ``began`` when an event begins, with its first snapshot, and
            ``ended`` when its clip is whole.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        frame_rate: float,
        films_whole_video: bool = True,
        margin: float = 2.0,
        began: datetime | None = None,
        announce: Announce | None = None,
        least_size: float = 0.0,
        keeps_plain: bool = False,
        ignored: Sequence[Polygon] = (),
        num_before: int = 0,
    ) -> None:
        self.folder, self.name, self.began = folder, name, began
        self.events: list[dict[str, Any]] = []
        self.num_judged = 0
        self._rate, self._margin, self._films_whole_video = frame_rate, margin, films_whole_video
        self._announce, self._ignored, self._keeps_plain = announce, ignored, keeps_plain
        self.tracker = EventTracker(frame_rate, least_size, num_before)
        self._painter: Painter | None = None
        self._films: dict[str, Film] = {}
        self._before: deque[JudgedFrame] = deque()  # of the last ``margin`` seconds, small
        self._unfolding: list[Unfolding] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._scores = ScoresTable(folder / SCORES)
        self._flushed = 0.0

    def push(self, judged: JudgedFrame) -> None:
        """Take the next frame.

        Raises:
            OSError: the disk takes no more; :meth:`discard` then.
        """
        image, seconds = judged.frame.image, judged.frame.seconds
        if judged.verdict is not None:
            self._write_row(judged)
        if self._painter is None:
            self._painter = Painter((image.shape[0], image.shape[1]), self._ignored, self._margin)
        small = self._painter.resized(judged)
        for change in self.tracker.push(judged):
            self._follow(change, judged)
        self._before.append(small)
        while seconds - self._before[0].frame.seconds > self._margin:
            self._before.popleft()
        self._write_films(small)
        self._end_clips(seconds)

    @property
    def is_alarm(self) -> bool:
        """Whether an event is going on."""
        return self.tracker.open is not None

    @property
    def num_events(self) -> int:
        """How many events of the video have begun, with those before."""
        return self.tracker.count

    def close(self) -> None:
        """Write what is left, and give every file its name.

        Raises:
            OSError: the disk takes no more; :meth:`discard` then.
        """
        for change in self.tracker.finish():
            self._unfolding[-1].event, self._unfolding[-1].is_over = change.event, True
        while self._unfolding:
            self._finish(self._unfolding.pop(0))
        for film in self._films.values():
            film.close()
        self._films = {}
        self._before.clear()
        write_text(self.folder / EVENTS, to_json(self.events, indent=1))
        with whole_file(self.folder / "events.csv") as part:
            import pandas as pd  # not before the first verdict

            pd.DataFrame(self.events, columns=self._columns()).to_csv(part, index=False)
        self._scores.close()
        if not self.num_judged:
            return
        import pandas as pd

        frames = pd.read_csv(self.folder / SCORES)
        with whole_file(self.folder / "scores.jsonl") as part:
            frames.to_json(part, orient="records", lines=True)
        from .curves import draw_curve  # matplotlib is slow to start, and nothing before needs it

        with whole_file(self.folder / CURVE) as part:
            draw_curve(frames, part, self.name)

    def discard(self) -> None:
        """Leave nothing unfinished under a final name; scores so far stay, as ``scores.csv.part``.

        Events that are over are told; one that is open goes on in :attr:`tracker`.
        """
        for film in [*self._films.values(), *(film for one in self._unfolding for film in (one.film, one.plain))]:
            if film is not None:
                film.discard()
        for one in self._unfolding:
            if one.is_over:
                self._tell("ended", one)
        self._films, self._unfolding = {}, []
        self._scores.discard()

    def _write_row(self, judged: JudgedFrame) -> None:
        frame, verdict = judged.frame, judged.verdict
        assert verdict is not None  # noqa: S101  # the caller looked
        row: dict[str, Any] = {
            "frame": frame.index,
            "seconds": round(frame.seconds, 3),
            "pred_score": round(verdict.score, 6),
            "level": round(verdict.shown, 6),
            "pred_label": int(judged.is_alarm),
        }
        if judged.label is not None:
            row["label"] = int(judged.label)
        if self.began is not None:
            row["time"] = self._time_of(frame.seconds)
        self._scores.add_row(row)
        self.num_judged += 1
        if frame.seconds - self._flushed >= 1:  # a crash costs a second
            self._scores.flush()
            self._flushed = frame.seconds

    def _film(self, file: str, size_wh: tuple[int, int]) -> Film:
        if file not in self._films:
            self._films[file] = Film(self.folder / file, size_wh, self._rate)
        return self._films[file]

    def _follow(self, change: Change, judged: JudgedFrame) -> None:
        if change.what == "began":
            assert self._painter is not None  # noqa: S101  # there was a frame
            clip = self._clip_of(change.event)
            film, plain = Film(clip, self._painter.annotated_wh, self._rate), None
            if self._keeps_plain and change.event.kind == "abnormal":
                plain = Film(plain_of(clip), self._painter.size_wh, self._rate)
            clip_start = self._before[0].frame.seconds if self._before else judged.frame.seconds
            began = Unfolding(change.event, judged, film, plain, clip_start)
            self._unfolding.append(began)
            self._save_snapshot(began)
            self._tell("began", began)
            for small in self._before:  # after telling, for it takes a while
                began.write(self._painter.annotated(small), small.frame)
            return
        latest = self._unfolding[-1]
        latest.event, latest.is_over = change.event, change.what == "ended"
        if change.what == "peak":
            latest.peak = judged

    def _write_films(self, small: JudgedFrame) -> None:
        assert self._painter is not None  # noqa: S101  # there was a frame
        clips = [one for one in self._unfolding if one.film is not None]
        if not clips and not self._films_whole_video:
            return  # drawing is dear, and most frames of a live source are in no film
        annotated, frame = self._painter.annotated(small), small.frame
        if self._films_whole_video:
            self._film(PLAIN, self._painter.size_wh).write(frame.image, frame.seconds)
            self._film(ANNOTATED, self._painter.annotated_wh).write(annotated, frame.seconds)
        for one in clips:
            one.write(annotated, frame)

    def _end_clips(self, now: float) -> None:
        for one in list(self._unfolding):
            if one.film is not None and now - one.event.start >= CLIP_SECONDS:
                one.close()
            if one.is_over and now - one.event.end >= self._margin:
                self._unfolding.remove(one)
                self._finish(one)

    def _finish(self, one: Unfolding) -> None:
        one.close()
        self._save_snapshot(one)
        self.events.append(self._described(one))
        self._tell("ended", one)

    def _save_snapshot(self, one: Unfolding) -> None:
        """Write the peak frame in the source's size, with heat and boxes."""
        image, event = one.peak.frame.image.copy(), one.event
        if one.peak.verdict is not None:
            cover_with_heat(image, one.peak.verdict.anomaly_map)
        dim_ignored(image, self._ignored)
        for left, top, width, height in event.boxes:
            cv2.rectangle(image, (left, top), (left + width, top + height), (72, 84, 240), 2)
        _, data = cv2.imencode(".jpg", image)
        with whole_file(self._clip_of(event).with_suffix(".jpg")) as part:
            part.write_bytes(data.tobytes())
        nearest, verdict = self._nearest_of(one), one.peak.verdict
        if nearest is not None and verdict is not None and verdict.nearest is not None:
            _, data = cv2.imencode(".png", verdict.nearest)
            with whole_file(nearest) as part:
                part.write_bytes(data.tobytes())

    def _clip_of(self, event: Event) -> Path:
        return self.folder / "events" / f"{event.id:04d}.mp4"

    def _nearest_of(self, one: Unfolding) -> Path | None:
        """Return where the normal picture lies that is most like an event which looks odd, if one is known."""
        known = one.peak.verdict is not None and one.peak.verdict.nearest is not None and "looks" in one.event.odd
        clip = self._clip_of(one.event)
        return clip.with_name(f"{clip.stem}_nearest.png") if known else None

    def _described(self, one: Unfolding) -> dict[str, Any]:
        clip = self._clip_of(one.event).relative_to(self.folder).as_posix()
        about: dict[str, Any] = {"video": self.name} | one.event.as_dict()
        if self.began is not None:
            about["time"] = self._time_of(one.event.start)
        nearest = self._nearest_of(one)
        about["nearest"] = None if nearest is None else nearest.relative_to(self.folder).as_posix()
        about["plain"] = plain_of(Path(clip)).as_posix() if self._keeps_plain and one.event.kind == "abnormal" else None
        return about | {"snapshot": clip.replace(".mp4", ".jpg"), "clip": clip, "clip_start": round(one.clip_start, 3)}

    def _columns(self) -> list[str]:
        time = [] if self.began is None else ["time"]
        return [
            "video",
            *(field.name for field in fields(Event)),
            *time,
            "nearest",
            "plain",
            "snapshot",
            "clip",
            "clip_start",
        ]

    def _tell(self, what: str, one: Unfolding) -> None:
        if self._announce is not None:
            self._announce(what, self._described(one))

    def _time_of(self, seconds: float) -> str:
        assert self.began is not None  # noqa: S101  # the caller looked
        return (self.began + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def plain_of(clip: Path) -> Path:
    """Return where the clip lies that has nothing drawn on it."""
    return clip.with_name(f"{clip.stem}_plain{clip.suffix}")
