"""The report on a terminal: a table where it is wide enough, a few lines per tensor where not."""

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from taut.inspect import order, words
from taut.inspect.elements import NEAR_ZERO
from taut.inspect.inspection import Inspection, Tensor

_TABLE_WIDTH = 110  # columns, from which on the table is used


def show(console: Console, inspection: Inspection, by: str, limit: int) -> None:
    """Prints what was measured of one file.

    Args:
        console: Where to.
        inspection: Of the file.
        by: One of `order.ORDERS`.
        limit: How many tensors to print; 0 for all.
    """
    tensors = order.ordered(inspection.tensors, by)
    shown = tensors[:limit] if limit else tensors
    count = sum(tensor.elements.count for tensor in tensors if tensor.elements)
    console.print(
        Text(
            f"{words.printable(str(inspection.path))}: {inspection.format}, "
            f"{len(tensors)} tensors, {count:,} elements, {words.size(inspection.size)}",
            style="bold",
        ),
    )
    console.print(Text(words.printable(order.summary(inspection))))
    if not shown:
        return
    console.print()
    is_wide = console.width >= _TABLE_WIDTH
    console.print(_table(shown) if is_wide else _cards(shown))
    if remarks := order.remarks(inspection, shown) if is_wide else []:
        console.print()
        for remark in remarks:
            console.print(Text(f"- {words.printable(remark)}"))
    console.print()
    if len(shown) < len(tensors):
        console.print(Text(f"{len(tensors) - len(shown)} more: --limit 0 shows all."))
    console.print(Text(_legend(shown), style="dim"))


def _legend(shown: Sequence[Tensor]) -> str:
    lines = [
        f"near zero: |x| at most {NEAR_ZERO:.0%} of the tensor's root mean square. L1: the sum of "
        "|x|. L2: the norm. cos: between rows, and between columns; the largest with its pair."
    ]
    if any(side.compared < side.count for tensor in shown for side in tensor.vectors):
        lines.append("*: of a random sample; --all-pairs compares all.")
    return " ".join(lines)


def _table(tensors: Sequence[Tensor]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("tensor", overflow="fold", ratio=1)
    table.add_column("shape\ndtype", no_wrap=True)
    for heading in ("size", "L1", "L2", "near\nzero", "exact\nzero", "NaN\nInf"):
        table.add_column(heading, justify="right", no_wrap=True)
    for mode in ("rows", "columns"):
        table.add_column(f"|cos| {mode}\nmean", justify="right", no_wrap=True)
        table.add_column("\nlargest", justify="right", no_wrap=True)
    for tensor in tensors:
        table.add_row(*_cells(tensor))
    return table


def _cells(tensor: Tensor) -> list[RenderableType]:
    style = "bold red" if tensor.findings else ""
    cells: list[RenderableType] = [
        Text(words.printable(tensor.name), style=style),
        f"{words.shape(tensor.shape)}\n{escape(tensor.dtype)}",
        words.size(tensor.size),
    ]
    elements = tensor.elements
    if elements is None:
        return cells
    bad = f"{elements.nan:,}\n{elements.inf:,}" if elements.nan or elements.inf else "-"
    cells += [
        words.number(elements.l1),
        words.number(elements.l2),
        words.percent(order.share(tensor, "near_zero")),
        words.percent(order.share(tensor, "zero")),
        Text(bad, style="bold red" if bad != "-" else ""),
    ]
    sides = {str(side.mode): side for side in tensor.vectors}
    for mode in ("rows", "columns"):
        if mode not in sides:
            cells += ["-", "-"]
            continue
        mean, largest, pair = words.cosines(sides[mode])
        cells += [mean, f"{largest}\n{pair}"]
    return cells


def _cards(tensors: Sequence[Tensor]) -> Group:
    return Group(*(part for tensor in tensors for part in _card(tensor)))


def _card(tensor: Tensor) -> list[RenderableType]:
    head = Text(words.printable(tensor.name), style="bold")
    lines = [f"{words.shape(tensor.shape)} {tensor.dtype}, {words.size(tensor.size)}"]
    if elements := tensor.elements:
        lines += [
            f"L1 {words.number(elements.l1)}, L2 {words.number(elements.l2)}",
            f"near zero {words.percent(order.share(tensor, 'near_zero'))}, "
            f"exactly zero {words.percent(order.share(tensor, 'zero'))}",
        ]
    for side in tensor.vectors:
        mean, largest, pair = words.cosines(side)
        whose: str = side.mode
        if side.compared < side.count:
            whose = f"{side.compared:,} of {side.count:,} {side.mode}, chosen at random"
        lines.append(f"|cos| of {whose}: mean {mean}, largest {largest} ({pair})")
    body = [Text(words.printable(line)) for line in lines]
    alarms = [finding.sentence for finding in tensor.findings]
    if tensor.unread:
        alarms.append(f"not measured: {tensor.unread}")
    body += [Text(f"! {words.printable(alarm)}", style="bold red") for alarm in alarms]
    return [head, *(Padding(line, (0, 0, 0, 2)) for line in body)]
