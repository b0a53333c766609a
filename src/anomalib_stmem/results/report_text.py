"""The report of a test as text: what was tested, all metrics, and the tables beside the controls."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from ..evaluation.normalisation import NORMALISATIONS
from ..model.calibration import as_time

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


def markdown(
    about: Mapping[str, Any],
    metrics: Mapping[str, float],
    tables: Mapping[Any, pd.DataFrame],
    events: pd.DataFrame,
    alarms: Mapping[str, Any] | None,
) -> str:
    """Write the report as one page.

    Args:
        about: what was tested.
        metrics: by name.
        tables: AUROCs by smoothing.
        events: from :func:`~anomalib_stmem.evaluation.event_tables.compare_events`.
        alarms: from :func:`~anomalib_stmem.evaluation.event_tables.at_the_threshold`; ``None`` without a threshold.
    """
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
    return "\n".join([*lines, "", said_of(alarms), "", markdown_events(events), markdown_tables(tables)])


def said_of(alarms: Mapping[str, Any] | None) -> str:
    """Say what a user counts at the threshold in force."""
    if alarms is None:
        return "The model has no threshold, so it raises no alarm."
    low, high = (_number(100 * value if value is not None else None) for value in alarms["share_found_interval"])
    found = f"{alarms['found']} of {alarms['events']} events found [{low}, {high} %]"
    if alarms["median_delay"] is not None:
        found += (
            f", half of them within {alarms['median_delay']:.1f} s and nine of ten within {alarms['p90_delay']:.1f} s"
        )
    if alarms["false_per_hour"] is None:
        return f"{found}; there is no normal video that could raise a false alarm."
    low, high = (_number(value) for value in alarms["false_per_hour_interval"])
    rate = f"{alarms['false_per_hour']:.1f} per hour [{low}, {high}]"
    return (
        f"{found}; {alarms['false_alarms']} false alarms in {as_time(alarms['normal_hours'])} of normal video, {rate}."
    )


def markdown_events(events: pd.DataFrame) -> str:
    """Write which share of the events each score finds."""
    lines = ["## Events found in %, at so many false alarms per hour", ""]
    headings = [f"at {name.removeprefix('at_')}" for name in _rates(events)]
    lines += [f"| score | {' | '.join(headings)} |", f"| {' | '.join(['---'] * (1 + len(headings)))} |"]
    lines += [f"| {name} | {' | '.join(event_cells(row))} |" for name, row in events.iterrows()]
    return "\n".join([*lines, ""])


def event_cells(row: pd.Series) -> list[str]:
    """Format one row of the table of events."""
    columns = [name for name in row.index if name.count("_") == 1]
    return [
        "-" if math.isnan(row[name]) else f"{row[name]:.0f} [{row[f'{name}_low']:.0f}, {row[f'{name}_high']:.0f}]"
        for name in columns
    ]


def _rates(events: pd.DataFrame) -> list[str]:
    return [name for name in events.columns if name.count("_") == 1]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


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


def print_events(events: pd.DataFrame, alarms: Mapping[str, Any] | None) -> None:
    """Print what a user counts."""
    shown = Table(title="Events found, % [95 % interval over videos]", caption=said_of(alarms))
    for heading in ("score", *(f"at {name.removeprefix('at_')} false per hour" for name in _rates(events))):
        shown.add_column(heading, justify="left" if heading == "score" else "right")
    for name, row in events.iterrows():
        shown.add_row(str(name), *event_cells(row))
    console = Console()
    (console if console.is_terminal else Console(width=max(console.width, 140))).print(shown)
