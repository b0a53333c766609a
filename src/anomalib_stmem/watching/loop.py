"""A watch that is going on: whose turn it is, who waits for the network, what is kept and told."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..results.files import EVENT_LINES
from ..runtime.stream import FrameStreams
from ..video.frame import Frame
from ..video.reader import Reader
from ..video.source import Source
from .delivery import Delivery
from .network import Network, Seen
from .panel import Panel
from .playlist import Playlist
from .run_folder import RunFolder
from .space import Space
from .watched import Watched


@dataclass(frozen=True)
class Outcome:
    """How a watch ended."""

    folder: Path  # of the results
    num_events: int
    failures: list[str]  # a sentence for each source that could not be watched to its end


class Loop:
    """A watch that is going on.

    Args:
        streams: of the network.
        folder: of the results.
        films: whether to film whole videos; ``None`` films files only.
        margin: seconds before and after each event in its clip.
        least_size: of an event, as :class:`~..results.video_results.VideoResults` has it.
        deliveries: that events go to, by name.
        read: makes the reader of a source.
        space: on the disk.
        panel: to tell on.
    """

    def __init__(
        self,
        streams: FrameStreams,
        folder: RunFolder,
        films: bool | None,
        margin: float,
        least_size: float,
        deliveries: dict[str, Delivery],
        read: Callable[..., Reader],
        space: Space,
        panel: Panel,
    ) -> None:
        self.stopping, self.arrived = threading.Event(), threading.Event()
        self._streams, self._folder = streams, folder
        self._films, self._margin, self._read = films, margin, read
        self._least_size = least_size
        self._watched: list[Watched] = []
        self._panel, self._deliveries, self._space = panel, deliveries, space
        self.network = Network(streams, self.arrived)
        self._judged: dict[str, Seen] = {}  # by the network, and not kept yet

    def run(self, sources_of: dict[str, list[Source]]) -> Outcome:
        """Go on until the sources end or somebody says stop.

        Args:
            sources_of: those that are watched one after the other, by the name of their stream.

        Raises:
            OSError: the disk does not even take how it ended.
        """
        playlists = [Playlist(name, sources, self._open, self.arrived) for name, sources in sources_of.items()]
        try:
            with self._panel.showing(self._shown):
                if self._streams.info.frame_rate is None:
                    self._panel.tell(
                        "The model does not say the frame rate of its training video: every frame is judged. Train "
                        "with --data.frame_rate to say it."
                    )
                while not self.stopping.is_set() and not all(one.is_done for one in playlists):
                    self.arrived.clear()
                    self._space.look()
                    if not self._go_on(playlists):
                        self.arrived.wait(0.1)
                self._leave(playlists)
        except BaseException:
            for one in self._watched:
                if not one.has_ended:
                    one.discard("the program ended")
            with suppress(OSError):  # the disk may be the reason
                self._end()
            raise
        self._end()
        failures = [one.failure for one in self._watched if one.failure is not None]
        return Outcome(self._folder.path, sum(one.num_events for one in self._watched), failures)

    def _leave(self, playlists: list[Playlist]) -> None:
        """Leave what is still watched, with what was judged of it."""
        left = [(playlist.name, playlist.watched) for playlist in playlists if playlist.watched is not None]
        for _, watched in left:  # all of them first, for to finish the files of one takes a while
            watched.reader.stop()
        self._judged = self.network.answers()
        for name, watched in left:
            self._keep_judged(name, watched)
            watched.num_left += int(self.network.has(name))
            self._close(watched)

    def _end(self) -> None:
        for one in self._watched:
            one.reader.wait()
        told: dict[str, Any] = {"webhook": None, "mqtt": None}
        for name, delivery in self._deliveries.items():
            waiting = delivery.close()
            told[name] = {"delivered": delivery.num_delivered, "lost": delivery.num_lost, "waiting": waiting}
        self._folder.close([one.as_dict() for one in self._watched], told)

    def _shown(self) -> list[Watched]:
        """Of many files, the last to end; everything that goes on."""
        return [*[one for one in self._watched if one.has_ended][-20:], *[o for o in self._watched if not o.has_ended]]

    def _open(self, source: Source) -> Watched:
        reader = self._read(source, arrived=self.arrived, tell=self._panel.tell)
        folder, films, margin = self._folder.path, self._films, self._margin
        size, announce, tell = self._least_size, self._announce, self._panel.tell
        ignored = self._streams.info.ignored
        watched = Watched(source, reader, folder, films, margin, size, ignored, announce, tell)
        self._watched.append(watched)
        return watched

    def _go_on(self, playlists: list[Playlist]) -> bool:
        """Judge what has come of each source, and keep it; false if there was nothing to do.

        The network sees what moves, one frame of each such source at a time. Where nothing moves, nobody waits for it.
        """
        self._judged = self.network.answers() if self.network.is_done else {}
        num_judged, watched = len(self._judged), {one.name: one.watched for one in playlists}
        takes = [self._take_next(one) for one in playlists if not self.network.has(one.name)]
        self.network.start()
        for name in list(self._judged):  # while the network sees the next ones
            self._keep_judged(name, watched[name])
        return num_judged > 0 or any(takes)

    def _take_next(self, playlist: Playlist) -> bool:
        """Take the next frame of a source; false if there is none."""
        name = playlist.name
        frame, ended = playlist.next()
        if ended is not None:
            self._keep_judged(name, ended)
            self._streams.reset(name)
            self._close(ended)
        elif frame is not None:
            self._judge(playlist, frame)
        elif playlist.watched is not None and name not in self._judged:
            self._spare(playlist.watched, playlist.watched.tick)
        return frame is not None

    def _judge(self, playlist: Playlist, frame: Frame) -> None:
        """Judge a frame at once, or let it wait for the network."""
        name, watched = playlist.name, playlist.watched
        assert watched is not None  # noqa: S101  # the frame is its
        if frame.follows_gap and frame.index:
            watched.num_gaps += 1
            if not self._streams.is_at_rest(name, frame.image):
                self._streams.reset(name)
        is_frozen = frame.frozen_since is not None
        verdict = None if is_frozen else self._streams.glance(name, frame.image)
        if verdict is None and not is_frozen:
            self.network.take(name, frame)
            return
        self._keep_judged(name, watched)
        self._keep(watched, Seen(frame, verdict, self._streams.trouble(name)))

    def _keep_judged(self, name: str, watched: Watched | None) -> None:
        seen = self._judged.pop(name, None)
        if seen is not None and watched is not None:
            self._keep(watched, seen)

    def _keep(self, watched: Watched, seen: Seen) -> None:
        if watched.has_ended:  # its results could not be written
            watched.num_left += seen.frame.frozen_since is None
            return
        verdict = None if seen.frame.is_late else seen.verdict
        self._spare(watched, partial(watched.push, seen.frame, verdict, seen.trouble))

    def _spare(self, watched: Watched, keep: Callable[[], None]) -> None:
        """Keep something; the trouble of one source with the disk is not that of the others."""
        try:
            keep()
        except OSError as error:
            self._panel.tell(watched.lose_results(error))

    def _close(self, watched: Watched) -> None:
        if watched.has_ended:  # as above, and told
            return
        try:
            watched.close()
        except OSError as error:
            watched.discard(f"{watched.source.shown}: its results cannot be written: {error.strerror or error}.")
        if watched.failure is not None:
            self._panel.tell(watched.failure)
        elif watched.source.kind == "file":
            events = f"{watched.num_events} event{'s' if watched.num_events != 1 else ''}"
            self._panel.tell(f"{watched.source.name}: {watched.num_judged} frames judged, {events}.")

    def _announce(self, state: str, event: dict[str, Any]) -> None:
        folder = next(one.folder for one in reversed(self._watched) if one.source.name == event["video"])
        below = folder.relative_to(self._folder.path)
        files = [name for name in ("snapshot", "clip", "nearest", "plain") if event[name] is not None]
        told = {"state": state} | event | {name: (below / event[name]).as_posix() for name in files}
        try:
            self._folder.add_event(told)
        except OSError as error:
            self._panel.tell(f"{self._folder.path / EVENT_LINES} takes no more: {error.strerror or error}.")
        for delivery in self._deliveries.values():
            delivery.send(told)
        if state == "began":
            what = f"{event['camera'].upper()} since" if event["kind"] == "camera" else "ALARM at"
            self._panel.tell(f"{event['video']}: {what} {event['start']:.1f} s. {event['reason']}")
