"""Why a file or an address gives no video: FFmpeg's errors in words that help."""

from collections.abc import Sequence
from errno import EIO
from pathlib import Path

from av import error as av_error
from av.error import FFmpegError

from .complaints import Complaint

ISO_BOXES = (b"ftyp", b"mdat", b"moov", b"free", b"wide", b"skip")  # that an MP4 or MOV file begins with
HEAD = 64  # bytes of a file that tell what it is instead of video

NOT_VIDEO = "it answers, but not with video (a web page, perhaps a login?)"
# Of an address. Nothing of it is in the words, because it may hold a password.
_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (av_error.HTTPUnauthorizedError, "user or password are wrong or missing (401)"),
    (av_error.HTTPForbiddenError, "it may not be seen by this user (403)"),
    (av_error.HTTPNotFoundError, "there is nothing under this path (404)"),
    (av_error.HTTPServerError, "the server fails (5xx)"),
    (av_error.HTTPClientError, "the server refuses the request (4xx)"),
    (av_error.HTTPError, "the server refuses the request"),
    (ConnectionRefusedError, "nothing answers at this host and port"),
    (ConnectionError, "the connection broke off"),
    (av_error.ExitError, "it is silent"),
    (TimeoutError, "it is silent"),
    (av_error.ProtocolNotFoundError, "FFmpeg does not know the protocol"),
    (PermissionError, "it may not be read"),
    (FileNotFoundError, "it is not there"),
    (av_error.DecoderNotFoundError, "FFmpeg has no decoder for it"),
    (av_error.InvalidDataError, NOT_VIDEO),
    (av_error.EOFError, NOT_VIDEO),
)
_SAID = (  # by FFmpeg, and what it means
    ("moov atom not found", "its index is missing, because the recording was cut off before its end"),
    ("Connection refused", "nothing answers at this host and port"),
    ("Failed to resolve hostname", "there is no such host"),
    ("TLS", "no secure connection can be made (TLS)"),
    ("certificate", "its certificate is not accepted (TLS)"),
    ("No route to host", "there is no way to this host"),
)


class NoVideoError(ValueError):
    """A source that no video can be had from; the message is the reason, as a part of a sentence."""


def why_not(error: FFmpegError, said: Sequence[Complaint], path: Path | None) -> str:
    """Return the reason why a source cannot be opened, as a part of a sentence.

    Args:
        error: of FFmpeg.
        said: its complaints meanwhile: level, part, words.
        path: of a file; ``None`` for an address.
    """
    words = " ".join([*(message for _, _, message in said), str(error)])
    if path is not None and path.is_file():
        return _why_no_video(path, words)
    heard = [meaning for text, meaning in _SAID if text in words]
    known = [meaning for kind, meaning in _WORDS if isinstance(error, kind)]
    broke_off = [NOT_VIDEO] if error.errno == EIO else []  # before anything was recognised
    return (heard + known + broke_off + ["it cannot be read"])[0]


def _why_no_video(path: Path, words: str) -> str:
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        return "it is empty (0 bytes)"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "it is a web page"
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        return "it is text, and no video"
    if "moov atom not found" in words and head[4:8] in ISO_BOXES:
        return _SAID[0][1]
    return "it is no video, or damaged from its beginning"
