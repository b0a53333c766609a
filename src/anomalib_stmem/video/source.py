"""What a user may name to be watched: a file, a folder, a camera or a stream. Passwords are never shown."""

import logging
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from .finding import videos_at
from .names import folder_of, safe_name, shown

logger = logging.getLogger(__name__)

Kind = Literal["file", "camera", "stream"]  # a file may be a folder of pictures, or a pipe

UNCLEAR = (
    "A URL cannot be read. Expected scheme://host:port/path, or the same with user:password and an @ before the host. "
    "In a user, a password or a query, write / ? # @ as %2F %3F %23 %40."
)
NAMED = re.compile(r"([\w.-]+)=(.+)", re.DOTALL)
# What may be an address with a password, well formed or not: everything from the scheme to the last @, and a query.
SECRET = re.compile(r"([a-z][a-z0-9+.-]*:/*)[^\s'\"]*@", re.IGNORECASE)
QUERY = re.compile(r"([a-z][a-z0-9+.-]*:/+[^\s'\"?#]*)[?#][^\s'\"]*", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """One video to watch."""

    name: str  # unique; of its results
    kind: Kind
    address: str  # path, number or URL; a URL may hold a password, so it is never shown
    shown: str  # the address as it may be shown

    def __repr__(self) -> str:
        """Show no password."""
        return f"Source({self.name!r}, {self.shown!r})"


def find_sources(texts: Sequence[str], tell: Callable[[str], None] = logger.warning) -> list[Source]:
    """Read what a user typed: ``SOURCE`` or ``NAME=SOURCE`` each.

    A source is a video file, a folder of pictures, a folder of videos (each of them a source), a pipe, a camera by its
    number or device, or a URL that FFmpeg opens (``rtsp://``, ``http://``, ...). What exists is a file, whatever its
    name looks like.

    Args:
        texts: of the user.
        tell: gets a line about files that are passed over.

    Raises:
        FileNotFoundError: there is no such file or folder, or no video in it.
        PermissionError: a folder may not be read.
        ValueError: two sources have one name, an address is malformed, or something is no source of video.
    """
    sources: list[Source] = []
    for text in texts:
        named = NAMED.fullmatch(text)
        name, address = (named[1], named[2]) if named and not _exists(text) else (None, text)
        if _exists(address):
            sources += _on_disk(name, Path(address), tell)
        elif "://" in address:
            sources.append(Source(name or _name_of(address), "stream", address, without_password(address)))
        elif SECRET.match(address):
            raise ValueError(UNCLEAR)
        elif address.isdigit():
            sources.append(Source(name or f"camera{address}", "camera", address, f"camera {address}"))
        else:
            sources += _on_disk(name, Path(address), tell)
    _refuse_twins(sources)
    return sources


def _exists(text: str) -> bool:
    try:
        return Path(text).exists() or Path(text).is_symlink()
    except (OSError, ValueError):  # a name that is too long, or holds a zero byte
        return False


def _on_disk(name: str | None, path: Path, tell: Callable[[str], None]) -> list[Source]:
    """Take what lies at a path for what it is."""
    mode = path.stat().st_mode if path.exists() else 0
    if not mode and path.parent == Path("/dev"):
        msg = f"There is no device {shown(path)}. Plug the camera in, or give the number of another one."
        raise FileNotFoundError(msg)
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        if not path.name.startswith("video"):
            msg = f"{shown(path)} is a device and no camera. Expected a file, a folder, a URL, or a /dev/video0."
            raise ValueError(msg)
        return [Source(name or path.name, "camera", str(path), shown(path))]
    if stat.S_ISSOCK(mode):
        msg = f"{shown(path)} is a socket, which holds no video. Give a file, a folder, a pipe or a URL."
        raise ValueError(msg)
    videos = videos_at(path, tell)
    return [
        Source(video if name is None else name if len(videos) == 1 else f"{name}/{video}", "file", str(own), shown(own))
        for video, own in videos.items()
    ]


def _refuse_twins(sources: Sequence[Source]) -> None:
    """Refuse two sources whose results would lie in one folder, also where names differ in case only."""
    first: dict[str, Source] = {}
    for source in sources:
        twin = first.setdefault(str(folder_of(source.name)).casefold(), source)
        if twin is not source:
            msg = (
                f"{twin.shown} and {source.shown} would both be called {folder_of(twin.name)}. Rename one, or say "
                "NAME=SOURCE for one."
            )
            raise ValueError(msg)


def without_password(url: str) -> str:
    """Return a URL without user, password, query and fragment, any of which may be a secret.

    Raises:
        ValueError: it cannot be told what is the password; the message holds nothing of the URL.
    """
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        raise ValueError(UNCLEAR) from None
    if "@" not in parts.netloc and "@" in url:  # a / or ? or # in a password ends the host too early
        raise ValueError(UNCLEAR)
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def masked(text: str) -> str:
    """Hide user, password and query of everything in a text that may be an address, for messages of any origin."""
    return QUERY.sub(r"\1", SECRET.sub(r"\1***@", text))


def _name_of(url: str) -> str:
    return safe_name(without_password(url).split("://", 1)[1])
