"""What a user may name to be watched: a file, a folder, a camera or a stream. Passwords are never shown."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .decoding import Kind
from .finding import videos_at
from .names import folder_of, safe_name

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


def find_sources(texts: Sequence[str]) -> list[Source]:
    """Read what a user typed: ``SOURCE`` or ``NAME=SOURCE`` each.

    A source is a video file, a folder of images, a folder of videos (each of them a source), the number of a camera, or
    a URL that cv2 opens (``rtsp://``, ``http://``, ...).

    Raises:
        FileNotFoundError: there is no such file or folder, or no video in it.
        ValueError: two sources have one name, or an address is malformed.
    """
    sources: list[Source] = []
    for text in texts:
        named = NAMED.fullmatch(text)
        name, address = (named[1], named[2]) if named and not Path(text).exists() else (None, text)
        if "://" in address:
            sources.append(Source(name or _name_of(address), "stream", address, without_password(address)))
        elif SECRET.match(address) and not Path(address).exists():
            raise ValueError(UNCLEAR)
        elif address.isdigit() and not Path(address).exists():
            sources.append(Source(name or f"camera{address}", "camera", address, f"camera {address}"))
        else:
            videos = videos_at(Path(address))
            for video, path in videos.items():
                own = video if name is None else name if len(videos) == 1 else f"{name}/{video}"
                sources.append(Source(own, "file", str(path), str(path)))
    folders = Counter(folder_of(source.name) for source in sources)
    twice = [source for source in sources if folders[folder_of(source.name)] > 1]
    if twice:
        msg = f"{twice[0].shown} and {twice[1].shown} would both be called {twice[0].name}. Say NAME=SOURCE for one."
        raise ValueError(msg)
    return sources


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
