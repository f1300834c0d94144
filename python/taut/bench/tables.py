"""What a run prints: the machine, a table per kind of work, and what was left out or is wrong."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from taut.bench import processes
from taut.bench.kinds import KINDS, MEMORY_OF, Kind
from taut.bench.results import Case, Document, Peak, Spread, is_noisy


def show_beginning(console: Console, document: Document) -> None:
    """Prints the machine, and who takes no part."""
    machine = document["machine"]
    sizes = ", ".join(
        f"{name} {bytes_in_words(size)}" for name, size in (machine["caches"] or {}).items()
    )
    console.print(
        f"{machine['processor']}: {machine['processors']} processors, {sizes or 'caches unknown'}, "
        f"memory {bytes_in_words(machine['memory'])}",
        f"{machine['system']}; {machine['compiler']}; {machine['SIMD level']}; "
        f"Python {machine['Python']}; load {machine['load before']}",
        f"{processes.threads_in_words(machine['threads'])}.",
        *_absent(document),
        sep="\n",
        markup=False,
        soft_wrap=True,
    )


def show(console: Console, document: Document) -> None:
    """Prints a table for each kind of work that has results."""
    for kind in KINDS.values():
        cases = [case for case in document["cases"] if case["kind"] == kind.name]
        if cases:
            console.print(f"\n[bold]{kind.title}[/]: times as long as taut, [dim]{_SPREAD}[/]")
            console.print(_table(kind, cases))
            for line in _left_out(cases):
                console.print(Text(line, "dim"), soft_wrap=True)
    if document["memory"]:
        title = f"[bold]{MEMORY_OF.title}[/]: the most memory beside weights and gradient"
        console.print(f"\n{title}")
        console.print(_memory_table(document["memory"]))
    if document["versions"]:
        versions = ", ".join(f"{name} {v}" for name, v in document["versions"].items())
        console.print(f"\n{versions}", markup=False, soft_wrap=True)
    for line in _absent(document):  # some are only known by now
        console.print(line, markup=False, soft_wrap=True)


def show_end(console: Console, document: Document) -> bool:
    """Prints, where errors go, what keeps the figures from being all or good.

    Returns:
        Whether a contestant computed something else than taut.
    """
    said: dict[str, None] = dict.fromkeys(f"failed: {line}" for line in document["failures"])
    noisy = [case for case in document["cases"] if is_noisy(case)]
    if noisy:
        said[
            f"noisy: in {len(noisy)} of {len(document['cases'])} cases (marked ~) taut differs "
            "from itself by more than a tenth, or ± a fifth; let nothing else run beside it"
        ] = None
    wrong = [text for case in document["cases"] for text in _wrong(case)]
    said.update(dict.fromkeys(wrong))
    if not document["complete"]:
        said["interrupted: what is above was measured before"] = None
    for line in said:
        console.print(f"taut bench: {line}", markup=False, soft_wrap=True)
    return bool(wrong)


def in_words(seconds: float) -> str:
    """Returns a time with its unit and three digits."""
    for unit, length in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def ratio_in_words(ratio: float) -> str:
    """Returns a ratio with two digits, or all before the point."""
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2g}" if ratio >= 1 else f"{ratio:.2f}"


def bytes_in_words(size: float | None) -> str:
    """Returns a size with its unit and three digits, or a dash for what is not known."""
    if size is None:
        return "-"
    for unit, length in (("GB", 2**30), ("MB", 2**20), ("KB", 2**10)):
        if size >= length:
            return f"{size / length:.3g} {unit}"
    return f"{size:.0f} B"


_SPREAD = "± half the range between the quartiles"


def _table(kind: Kind, cases: Sequence[Case]) -> Table:
    sizes = sorted({case["size"] for case in cases})
    table = _empty(kind, sizes)
    for title, cell in (("taut", _own), ("taut again", _again)):
        first = {case["size"]: case for case in reversed(cases)}  # of the process that came first
        table.add_row(title, *(cell(first[size]) for size in sizes))
    for name in _order(cases):
        found = {case["size"]: case for case in cases if name in _all_names(case)}
        table.add_row(name, *(_cell(found.get(size), name) for size in sizes))
    return table


def _absent(document: Document) -> list[str]:
    return [f"Left out: {name} ({why})" for name, why in document["left_out"].items()]


def _empty(kind: Kind, sizes: Sequence[int]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column(kind.axis, no_wrap=True)
    for size in sizes:
        table.add_column(f"{size:,}", justify="right", no_wrap=True)
    return table


def _left_out(cases: Sequence[Case]) -> list[str]:
    """Returns a line for each reason why somebody was not timed."""
    reasons: dict[str, list[str]] = {}
    for case in cases:
        for name, reason in case["left_out"].items():
            reasons.setdefault(f"{case['size']:,}: {reason}", []).append(name)
    return [f"- at {reason}: {'; '.join(names)}" for reason, names in reasons.items()]


def _order(cases: Sequence[Case]) -> list[str]:
    """Returns all that were to be timed beside taut."""
    named = {name: None for case in cases for name in _all_names(case)}
    return [name for name in named if name not in ("taut", "all")]


def _all_names(case: Case) -> list[str]:
    return [*case["results"], *case["left_out"], *case["wrong"]]


def _own(case: Case) -> str:
    return in_words(case["results"]["taut"]["seconds"]["median"]) if case["results"] else "-"


def _again(case: Case) -> str:
    if not case["results"]:
        return "-"
    return _spread(case["again"]) + (" ~" if is_noisy(case) else "")


def _cell(case: Case | None, name: str) -> str:
    if case is None:
        return ""
    if name in case["wrong"]:
        return "[red]wrong[/]"
    if name not in case["results"]:
        return "-"
    return _spread(case["results"][name]["ratio"])


def _spread(ratio: Spread) -> str:
    half = (ratio["upper"] - ratio["lower"]) / 2 / ratio["median"]
    return f"{ratio_in_words(ratio['median'])} [dim]±{half:.0%}[/]"


def _wrong(case: Case) -> list[str]:
    where = f"{case['kind']} of {case['size']:,}"
    return [f"wrong, and not timed: {where}: {text}" for text in case["wrong"].values()]


def _memory_table(peaks: Sequence[Peak]) -> Table:
    sizes = sorted({peak["size"] for peak in peaks})
    table = _empty(MEMORY_OF, sizes)
    by_name: dict[str, dict[int, Peak]] = {}
    for peak in peaks:
        by_name.setdefault(peak["contestant"], {})[peak["size"]] = peak
    for name, found in by_name.items():
        table.add_row(
            name, *(bytes_in_words(found[s]["bytes"]) if s in found else "" for s in sizes)
        )
    return table
