"""What the benchmarks here print, kept as JSON when `TAUT_BENCHMARKS_JSON` names a file.

`benchmarks/detailed.py` sets it, and `benchmarks/figures.py` puts the tables into pages.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypedDict

from taut.bench import results

FILE = "TAUT_BENCHMARKS_JSON"
SCHEMA = "detailed 1"


class Report(TypedDict):
    """A table as it was printed. The first cell of each row is its name."""

    title: str
    columns: list[str]
    rows: list[list[str]]


class Document(TypedDict):
    """What programs have printed, by their names, and on which machine they ran."""

    schema: str
    machine: dict[str, Any]
    programs: dict[str, list[Report]]


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table, and keeps it where there is a file for it."""
    from rich.console import Console
    from rich.table import Table

    report: Report = {"title": title, "columns": [*columns], "rows": [[*row] for row in rows]}
    table = Table(title=title, title_justify="left")
    for column in report["columns"]:
        table.add_column(column, justify="right" if table.columns else "left")
    for row in report["rows"]:
        table.add_row(*row)
    Console(width=120).print(table)
    if file := os.environ.get(FILE):
        document = read(Path(file))
        document["programs"].setdefault(Path(sys.argv[0]).stem, []).append(report)
        results.write(document, Path(file))


def read(path: Path) -> Document:
    """Reads a document.

    Raises:
        UnknownSchemaError: If it is none, or of another version.
    """
    document: Document = results.read_json(path, SCHEMA)
    return document


def markdown(reports: Iterable[Report]) -> str:
    """Returns the tables for a page.

    Tables of ratios that compare the same contestants become one, with a row for each of them: the
    time of the first contestant, and the ratios of the others to it. Any other stands as it is.
    """
    groups: dict[object, list[Report]] = {}
    for report in reports:
        groups.setdefault(_contestants(report) or report["title"], []).append(report)
    return "\n\n".join(
        _side_by_side(group) if _contestants(group[0]) else "\n\n".join(map(_as_it_is, group))
        for group in groups.values()
    )


def _contestants(report: Report) -> tuple[str, ...] | None:
    """Returns whom a table of ratios compares; None for any other table."""
    if len(report["columns"]) != 3 or not report["columns"][2].startswith("over "):
        return None
    return tuple(row[0] for row in report["rows"])


def _side_by_side(reports: Sequence[Report]) -> str:
    first, *others = (row[0] for row in reports[0]["rows"])
    lines = [["", f"{first}, time", *others]]
    lines += [
        [report["title"], report["rows"][0][1], *(row[2] for row in report["rows"][1:])]
        for report in reports
    ]
    return _lines(lines)


def _as_it_is(report: Report) -> str:
    return f"{_escaped(report['title'])}:\n\n{_lines([report['columns'], *report['rows']])}"


def _lines(lines: Sequence[Sequence[str]]) -> str:
    ruled = [lines[0], ["---", *["---:"] * (len(lines[0]) - 1)], *lines[1:]]
    return "\n".join(f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in ruled)


def _escaped(cell: str) -> str:
    """Returns text that Markdown shows as it is: stars would be emphasis, bars cells."""
    return "".join(f"\\{letter}" if letter in "*_|" else letter for letter in cell)
