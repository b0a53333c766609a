"""What a person at the terminal sees while video is watched."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..video.source import masked
from .watched import Watched

BAR = 20  # characters of the score, of which the threshold is half


class Panel:
    """A table of the sources on a terminal; elsewhere only sentences, each with its time of day.

    Args:
        console: to print on.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def showing(self, watched: Callable[[], Sequence[Watched]]) -> AbstractContextManager:
        """Show what is watched for as long as a block runs."""
        if not self._console.is_terminal:
            return nullcontext()
        table = partial(self._draw, watched)
        return Live(get_renderable=table, console=self._console, refresh_per_second=4, transient=True)

    def tell(self, sentence: str) -> None:
        """Print a sentence."""
        self._console.print(Text(f"{time.strftime('%H:%M:%S')} {masked(sentence)}"), soft_wrap=True)

    @staticmethod
    def _draw(watched: Callable[[], Sequence[Watched]]) -> Table:
        table = Table(
            box=None, padding=(0, 2, 0, 0), caption="Ctrl-C ends and writes everything.", caption_justify="left"
        )
        for heading in ("source", "state", "score", "", "frames/s", "done", "events", "judged", "dropped", "gaps"):
            table.add_column(heading, justify="left" if heading in {"source", "state", ""} else "right")
        for one in watched():
            score = "" if one.verdict is None else f"{one.verdict.score:.2f}"
            share = one.reader.tally.share
            done = "" if share is None else f"{100 * share:.0f} %"
            figures = (f"{one.fps:.1f}", done, one.num_events, one.num_judged, one.reader.tally.dropped, one.num_gaps)
            table.add_row(one.source.name, _state(one), score, _bar(one), *(str(figure) for figure in figures))
        return table


def _state(one: Watched) -> Text:
    if one.failure is not None:
        return Text("failed", "red")
    if one.has_ended:
        return Text("ended", "dim")
    if one.is_alarm:
        return Text("ALARM", "bold white on red")
    if one.source.kind != "file" and not one.reader.is_connected:
        return Text("lost" if one.reader.tally.read else "connecting", "yellow")
    return Text("normal", "green") if one.verdict is not None else Text("warming up", "yellow")


def _bar(one: Watched) -> Text:
    if one.verdict is None:
        return Text("·" * BAR, "dim")
    filled = round(BAR * one.verdict.score)
    bar = Text("█" * filled, "red" if one.is_alarm else "green")
    return bar.append("·" * (BAR - filled), "dim")
