"""The report of a test as text: what was tested, all metrics, and the tables beside the controls."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from ..evaluation.normalisation import NORMALISATIONS

HEADINGS = {
    "none": "no normalisation",
    "calibrated": "calibrated (live)",
    "running": "running",
    "per_video": "per video*",
}
ORACLE = "* Per-video min-max needs the whole test video; no live camera has it."
UNDEFINED = "not defined (it needs both normal and abnormal frames, or masks)"


def coverage(about: Mapping[str, Any]) -> str:
    """Say which frames count."""
    window = about["config"]["model"]["window"]
    return (
        f"{about['frames_judged']} frames of {about['videos']} videos judged, {about['frames_abnormal']} abnormal; the "
        f"first {window} or more frames of each video have no past and are left out ({about['frames_left_out']} frames)"
    )


def markdown(about: Mapping[str, Any], metrics: Mapping[str, float], tables: Mapping[Any, pd.DataFrame]) -> str:
    """Write the report as one page."""
    facts = {name: value for name, value in about.items() if name not in {"config", "packages"}}
    lines = [
        "# Test report",
        "",
        f"{coverage(about)}.",
        "",
        *(f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items()),
    ]
    lines += [f"- packages: {', '.join(f'{name} {number}' for name, number in about['packages'].items())}", ""]
    values = {name: UNDEFINED if math.isnan(value) else f"{value:.4f}" for name, value in metrics.items()}
    lines += ["| metric | value |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in values.items())]
    return "\n".join([*lines, "", markdown_tables(tables)])


def markdown_tables(tables: Mapping[Any, pd.DataFrame]) -> str:
    """Write the comparison under each smoothing."""
    headings = [*HEADINGS.values(), "macro", "padded macro", "above frame difference, calibrated"]
    lines: list[str] = []
    for smoothing, table in tables.items():
        lines += [f"## Frame AUROC in %, smoothing: {smoothing}", ""]
        lines += [f"| score | {' | '.join(headings)} |", f"| {' | '.join(['---'] * (1 + len(headings)))} |"]
        lines += [*(f"| {name} | {' | '.join(cells(row))} |" for name, row in table.iterrows()), ""]
    return "\n".join([*lines, f"Brackets: 95 % bootstrap interval over videos. {ORACLE}", ""])


def cells(row: pd.Series) -> list[str]:
    """Format one row of a table; what is not defined is a dash."""
    figures = [
        "-" if math.isnan(row[how]) else f"{row[how]:.1f} [{row[f'{how}_low']:.0f}, {row[f'{how}_high']:.0f}]"
        for how in NORMALISATIONS
    ]
    means = ["-" if math.isnan(value) else f"{value:.1f}" for value in (row.macro, row.padded)]
    gain = f"[{row.calibrated_gain_low:+.1f}, {row.calibrated_gain_high:+.1f}]"
    return [*figures, *means, "-" if math.isnan(row.calibrated_gain_low) else gain]


def print_table(table: pd.DataFrame, about: Mapping[str, Any], folder: Path) -> None:
    """Print the comparison on the terminal."""
    caption = f"{coverage(about)}.\n{about['threshold']}\n{ORACLE} Files: {folder}"
    shown = Table(title="Frame AUROC, % [95 % interval over videos]", caption=caption)
    for heading in ("score", *HEADINGS.values(), "macro", "padded", "above frame difference"):
        shown.add_column(heading, justify="left" if heading == "score" else "right")
    for name, row in table.iterrows():
        shown.add_row(str(name), *cells(row))
    console = Console()
    (console if console.is_terminal else Console(width=max(console.width, 140))).print(shown)
