"""Puts the data, the style and the script of the page into one file."""

import html
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from ..results.files import to_json, write_text
from .collect import Media, collect


def write_page(results: Path | str, page: Path | str | None = None) -> Path:
    """Write the page of a results folder.

    Args:
        results: as :func:`~.collect.collect` takes it.
        page: file to write; ``report.html`` in the folder by default.

    Returns:
        The file.

    Raises:
        FileNotFoundError: there is no such folder, or no judged video in it.
        ValueError: a file in it is damaged.
        OSError: the page cannot be written.
    """
    results = Path(results)
    media = Media()
    data = collect(results, media)
    data["media_left_out"] = media.num_left_out
    parts = {
        name: files(__package__).joinpath(name).read_text("utf-8") for name in ("page.html", "page.css", "page.js")
    }
    held = "\n".join(f'<script type="text/plain" id="{name}">{body}</script>' for name, body in media.held.items())
    whole = Template(parts["page.html"]).substitute(
        title=html.escape(f"{data['title']}: STMem report"),
        style=parts["page.css"],
        script=parts["page.js"],
        data=as_script(data),
        media=held,
    )
    target = results / "report.html" if page is None else Path(page)
    write_text(target, whole)
    return target


def as_script(data: Any) -> str:  # noqa: ANN401  # whatever JSON holds
    """Write JSON that nothing in it can end the element it stands in."""
    return to_json(data).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
