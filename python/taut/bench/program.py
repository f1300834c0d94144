"""A run of `taut bench`, from the plan to what is printed and written."""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

import taut
from taut.bench import machine, memory, plan, processes, results, tables
from taut.bench.kinds import MEMORY_OF
from taut.bench.libraries import LIBRARIES
from taut.bench.processes import WorkerEndedError
from taut.bench.results import Document

_WIDTH_OF_FILES = 130
INTERRUPTED = 130  # what shells report of a process that SIGINT has ended


def run(
    kinds: Sequence[str] = (),
    *,
    quick: bool = False,
    threads: int | None = None,
    largest: int | None = None,
    json_file: Path | None = None,
    charts_folder: Path | None = None,
) -> int:
    """Measures, prints tables, and writes what was asked for.

    Args:
        kinds: As for `plan.make`.
        quick: As for `plan.make`.
        threads: How many for each library; as many as taut takes by itself if None.
        largest: As for `plan.make`.
        json_file: Where to write the document.
        charts_folder: Where to write charts.

    Returns:
        The exit code: 1 if a contestant computed something else, 130 after a Ctrl-C, which keeps
        what was measured before.
    """
    # In a file there is no edge that lines would have to be broken at.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)
    planned = plan.make(kinds, quick, largest)
    count = taut.get_num_threads() if threads is None else threads
    document = _empty(planned, count, quick)
    tables.show_beginning(console, document)
    with tempfile.TemporaryDirectory() as directory:
        options = {"threads": count, "quick": quick, "directory": directory}
        try:
            with _progress() as progress:
                task = progress.add_task("", total=planned.steps())
                for group in planned.groups:
                    _time(document, group, options, progress, task)
                _measure_memory(document, planned.peaks, options, progress, task)
            document["complete"] = True
        except KeyboardInterrupt:
            pass
    tables.show(console, document)
    if json_file is not None:
        results.write(document, json_file)
        console.print(f"All figures: {json_file}", markup=False, soft_wrap=True)
    if charts_folder is not None:
        from taut.bench import charts

        charts.write(document, charts_folder)
        console.print(f"Charts: {charts_folder}", markup=False, soft_wrap=True)
    wrong = tables.show_end(Console(stderr=True, highlight=False), document)
    return INTERRUPTED if not document["complete"] else int(wrong)


def _empty(planned: plan.Plan, threads: int, quick: bool) -> Document:
    return {
        "schema": results.SCHEMA,
        "machine": machine.describe(threads),
        "versions": {},
        "quick": quick,
        "complete": False,
        "left_out": dict(planned.left_out),
        "failures": [],
        "cases": [],
        "memory": [],
    }


def _progress() -> Progress:
    return Progress(
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )


def _time(
    document: Document,
    group: plan.Group,
    options: Mapping[str, Any],
    progress: Progress,
    task: TaskID,
) -> None:
    """Times a group's cases; a process that ends is followed by one for the kinds that are left."""
    pending = list(group.cases)
    while pending:
        job = {
            "process": group.process,
            "libraries": group.libraries,
            "options": options,
            "cases": list(pending),
        }
        progress.update(task, description=f"starting {group.process}")
        try:
            for content in _heard(document, processes.run(job, group.environment)):
                document["cases"].append(content["case"])
                del pending[0]
                what = f"{pending[0][0]}, {pending[0][1]:,}" if pending else ""
                progress.update(task, advance=1, description=f"{group.process}: {what}")
            return
        except WorkerEndedError as error:
            kind, size = pending[0]
            document["failures"].append(f"{group.process}, {kind} of {size:,}: {error}")
            left = [case for case in pending if case[0] != kind]
            progress.update(task, advance=len(pending) - len(left))
            pending = left


def _measure_memory(
    document: Document,
    peaks: Sequence[tuple[str, int]],
    options: Mapping[str, Any],
    progress: Progress,
    task: TaskID,
) -> None:
    for contestant, size in peaks:
        progress.update(task, description=f"memory: {contestant}, {size:,}")
        library = memory.CONTESTANTS[contestant]
        peak: results.Peak = {
            "size": size,
            "contestant": contestant,
            "bytes": None,
            "left_out": None,
        }
        needed, available = MEMORY_OF.bytes_of_a_peer(size), machine.available_memory()
        if contestant != "taut" and available is not None and needed > available:
            peak["left_out"] = f"needs some {needed / 1e9:.1f} GB"
        else:
            job = {
                "process": "memory",
                "libraries": [library],
                "options": options,
                "memory": [contestant, size],
            }
            try:
                environment = LIBRARIES[library].environment
                for content in _heard(document, processes.run(job, environment)):
                    peak["bytes"] = content["bytes"]
            except WorkerEndedError as error:
                peak["left_out"] = str(error)
        if peak["bytes"] is not None or peak["left_out"] is not None:
            document["memory"].append(peak)
        progress.advance(task)


def _heard(document: Document, events: Iterator[Any]) -> Iterator[Any]:
    """Yields results, and notes what else a process says."""
    for event in events:
        if "versions" in event:
            document["versions"].update(event["versions"])
        elif "left_out" in event:
            document["left_out"].update(event["left_out"])
        else:
            yield event
    sys.stdout.flush()
