"""One place in the network's batch: a live source, or files one after the other."""

import threading
from collections import deque
from collections.abc import Callable

from ..video.frame import Frame
from ..video.source import Source
from .watched import Watched


class Playlist:
    """Sources that are watched one after the other: a live one by itself, or all files.

    Args:
        name: of the stream in the batch.
        sources: in order.
        open_source: makes a source watched; its reader is not started.
        arrived: is set when a reader has something new.
    """

    def __init__(
        self, name: str, sources: list[Source], open_source: Callable[[Source], Watched], arrived: threading.Event
    ) -> None:
        self.name = name
        self._left = deque(sources)
        self._open_source, self._arrived = open_source, arrived
        self.watched: Watched | None = None

    def next(self) -> tuple[Frame | None, Watched | None]:
        """Return the next frame if there is one, and the source that has just ended, if one has."""
        if self.watched is None:
            if not self._left:
                return None, None
            self.watched = self._open_source(self._left.popleft())
            self.watched.reader.start()
        frame = self.watched.reader.next()
        if frame is None and self.watched.reader.has_ended:
            ended, self.watched = self.watched, None
            self._arrived.set()  # the next one, if there is one, begins at once
            return None, ended
        return frame, None

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to watch."""
        return self.watched is None and not self._left
