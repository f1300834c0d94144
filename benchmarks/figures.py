"""Writes the figures, tables and charts of the pages from what was measured.

    python benchmarks/figures.py [--check]

A page says what it wants where it wants it, and this script writes what lies between:

    NumPy takes <!-- figure: zen5 ratio l2 1000000 NumPy -->6.3<!-- /figure --> times as long.

The first word is a file of benchmarks/results/ without its suffix, the second one of `WRITERS`, of
what `taut bench` has measured, or of `WRITERS_OF_REPORTS`, of what benchmarks/detailed.py has; its
arguments follow, and quotation marks keep words together. Charts are drawn into docs/charts/.
Without a change, `--check` says which pages are not what the script makes of the measurements.
"""

import argparse
import fnmatch
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import reports
from taut.bench import charts, results, tables
from taut.bench.kinds import KINDS, MEMORY_OF
from taut.bench.results import Case, Document

ROOT = Path(__file__).parents[1]
_MARK = re.compile(r"(<!-- figure: (.*?) -->)(.*?)(<!-- /figure -->)", re.DOTALL)
_OPENING = re.compile(r"<!-- figure\b")


class FigureError(Exception):
    """A page asks for what is not there."""


def ratio(document: Document, kind: str, size: str, contestant: str) -> str:
    """How many times as long as taut a contestant takes."""
    results_of = _case(document, kind, size, contestant)["results"]
    return tables.ratio_in_words(results_of[contestant]["ratio"]["median"])


def time(document: Document, kind: str, size: str, contestant: str = "taut") -> str:
    """A contestant's time for a call."""
    results_of = _case(document, kind, size, contestant)["results"]
    return tables.in_words(results_of[contestant]["seconds"]["median"])


def again(document: Document, kind: str, size: str) -> str:
    """The ratio of taut to itself: the noise."""
    return f"{_case(document, kind, size, 'taut')['again']['median']:.2f}"


def memory(document: Document, size: str, contestant: str = "taut") -> str:
    """The most memory beside weights and gradient, of the orthogonal penalty."""
    for peak in document["memory"]:
        if (peak["size"], peak["contestant"]) == (int(size), contestant) and peak["bytes"]:
            return tables.bytes_in_words(peak["bytes"])
    raise FigureError(f"there is no memory of {contestant} at {size}")


def table(document: Document, kind: str) -> str:
    """The ratios of a kind of work over its sizes, taut's own times first."""
    cases = [case for case in document["cases"] if case["kind"] == kind and case["results"]]
    if not cases:
        raise FigureError(f"there is no {kind}")
    sizes = sorted({case["size"] for case in cases})
    names = dict.fromkeys(name for case in cases for name in case["results"])
    rows: dict[str, list[str]] = {}
    for name in names:
        of_size = {case["size"]: case for case in reversed(cases) if name in case["results"]}
        shown = time if name == "taut" else ratio
        rows[name] = [
            shown(document, kind, str(size), name) if size in of_size else "" for size in sizes
        ]
    return _markdown(KINDS[kind].axis, sizes, rows)


def memory_table(document: Document) -> str:
    """The most memory beside weights and gradient, over the number of vectors."""
    peaks = [peak for peak in document["memory"] if peak["bytes"]]
    sizes = sorted({peak["size"] for peak in peaks})
    found = {(peak["contestant"], peak["size"]): peak["bytes"] for peak in peaks}
    rows = {
        name: [tables.bytes_in_words(found[name, s]) if (name, s) in found else "" for s in sizes]
        for name in dict.fromkeys(peak["contestant"] for peak in peaks)
    }
    return _markdown(MEMORY_OF.axis, sizes, rows)


def machine(document: Document) -> str:
    """What it was measured on."""
    about, versions = document["machine"], document["versions"]
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{about['processor']} ({about['processors']} processors, {about['SIMD level']}), "
        f"{about['threads']} threads for each library, {about['compiler']}, "
        f"Python {about['Python']}, {named}; {about['date'][:10]}"
    )


def report(document: reports.Document, program: str, title: str = "*") -> str:
    """The tables that a program has printed, or those whose title matches a glob."""
    return reports.markdown(_reports(document, program, title))


def cell(document: reports.Document, program: str, title: str, row: str, column: str) -> str:
    """One cell of the only table with such a title."""
    (found,) = _reports(document, program, title)
    cells = {each[0]: each for each in found["rows"]}
    if row not in cells or column not in found["columns"]:
        raise FigureError(f"{found['title']} has no {row!r} with a {column!r}")
    return cells[row][found["columns"].index(column)]


Writer = Callable[..., str]
WRITERS: Mapping[str, Writer] = {
    "ratio": ratio,
    "time": time,
    "again": again,
    "memory": memory,
    "table": table,
    "memory-table": memory_table,
    "machine": machine,
}
WRITERS_OF_REPORTS: Mapping[str, Writer] = {"report": report, "cell": cell}
_OF_LINES = ("table", "memory-table", "chart", "report")  # which stand for themselves


def rewritten(page: Path, root: Path) -> tuple[str, set[tuple[str, str]]]:
    """Returns a page as it should be, and the charts that it shows: machines and names."""
    shown: set[tuple[str, str]] = set()
    text = page.read_text(encoding="utf-8")

    def write(match: re.Match[str]) -> str:
        opening, words, _, closing = match.groups()
        name, what, *arguments = shlex.split(words)
        if what == "chart":
            shown.add((name, f"{arguments[0]}.svg"))
            content = _chart(page, root, name, *arguments)
        else:
            content = _written(root, name, what, arguments)
        return (
            f"{opening}\n\n{content}\n\n{closing}"
            if what in _OF_LINES
            else (f"{opening}{content}{closing}")
        )

    written, count = _MARK.subn(write, text)
    if count != len(_OPENING.findall(text)):
        raise FigureError(f"{page}: a figure has no end, or a name that cannot be read")
    return written, shown


def pages(root: Path) -> Iterator[Path]:
    yield root / "README.md"
    yield from sorted(root.glob("benchmarks/*.md"))
    yield from sorted(root.glob("docs/**/*.md"))


def stale(root: Path) -> list[str]:
    """Returns what is not as the measurements have it: pages, and charts that are not there."""
    found = []
    for page in pages(root):
        text, shown = rewritten(page, root)
        if text != page.read_text(encoding="utf-8"):
            found.append(str(page.relative_to(root)))
        found += [str(path) for chart in shown if not (path := _path(root, *chart)).is_file()]
    return found


def write(root: Path) -> None:
    """Writes pages and draws charts."""
    drawn: dict[str, set[str]] = {}
    for page in pages(root):
        text, shown = rewritten(page, root)
        for name, chart in shown:
            drawn.setdefault(name, set()).add(chart)
        if text != page.read_text(encoding="utf-8"):
            page.write_text(text, encoding="utf-8")
    for name, wanted in drawn.items():
        charts.write(results.read(_file(root, name)), _path(root, name, ""), wanted)


def _written(root: Path, name: str, what: str, arguments: list[str]) -> str:
    writers = WRITERS | WRITERS_OF_REPORTS
    if what not in writers:
        raise FigureError(f"{what!r} is none of {', '.join([*writers, 'chart'])}")
    read = reports.read if what in WRITERS_OF_REPORTS else results.read
    try:
        return writers[what](read(_file(root, name)), *arguments)
    except (TypeError, ValueError) as error:
        raise FigureError(f"{what} {' '.join(arguments)}: {error}") from error


def _file(root: Path, name: str) -> Path:
    path = root / "benchmarks" / "results" / f"{name}.json"
    if not path.is_file():
        raise FigureError(f"{path} is not there")
    return path


def _reports(document: reports.Document, program: str, title: str) -> list[reports.Report]:
    printed = document["programs"].get(program, [])
    found = [each for each in printed if fnmatch.fnmatchcase(each["title"], title)]
    if not found:
        raise FigureError(f"{program} has no table {title!r}")
    return found


def _case(document: Document, kind: str, size: str, contestant: str) -> Case:
    for case in document["cases"]:
        if (case["kind"], case["size"]) == (kind, int(size)) and contestant in case["results"]:
            return case
    raise FigureError(f"there is no {contestant} for {kind} of {size}")


def _chart(page: Path, root: Path, name: str, chart: str, alt: str) -> str:
    path = os.path.relpath(_path(root, name, f"{chart}.svg"), page.parent)
    return f"![{alt}]({Path(path).as_posix()})"


def _path(root: Path, name: str, chart: str) -> Path:
    return root / "docs" / "charts" / name / chart


def _markdown(axis: str, sizes: list[int], rows: Mapping[str, list[str]]) -> str:
    lines = [[axis, *(f"{size:,}" for size in sizes)], ["---", *["---:"] * len(sizes)]]
    lines += [[name, *cells] for name, cells in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="say what is not as it should be")
    try:
        if not parser.parse_args().check:
            write(ROOT)
        for name in (found := stale(ROOT)):
            print(f"{name} is not what benchmarks/figures.py makes of the measurements")
    except FigureError as error:
        print(error, file=sys.stderr)
        return 1
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
