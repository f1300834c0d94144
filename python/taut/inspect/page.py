"""The report as a web page that needs no other file."""

from collections.abc import Iterator, Sequence
from html import escape

from taut import _core
from taut.inspect import charts, order, words
from taut.inspect.elements import NEAR_ZERO
from taut.inspect.inspection import Inspection, Tensor
from taut.inspect.vectors import NEAR_DUPLICATE

_STYLE = """
:root { color-scheme: light dark; --ink: #222; --faint: #666; --grid: #ddd; --paper: #fff;
  --first: #0072b2; --second: #d55e00; --alarm: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --faint: #a5a5a5; --grid: #444; --paper: #161616;
    --first: #56b4e9; --second: #e69f00; --alarm: #ff8a80; } }
body { background: var(--paper); color: var(--ink); max-width: 75rem; margin: 2rem auto;
  padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; overflow-wrap: anywhere; }
.faint { color: var(--faint); } .alarm { color: var(--alarm); font-weight: 600; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.45rem; text-align: right; border-bottom: 1px solid var(--grid);
  vertical-align: top; white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; white-space: normal; overflow-wrap: anywhere;
  min-width: 10rem; }
svg { max-width: 100%; height: auto; } svg text { font-family: system-ui, sans-serif; }
"""

_HEADINGS = (
    *("tensor", "shape", "dtype", "size", "L1", "L2", "near zero", "exactly zero", "NaN", "Inf"),
    *("rows: mean |cos|", "largest", "pair", "columns: mean |cos|", "largest", "pair"),
)


def html(inspections: Sequence[Inspection], by: str) -> str:
    """Returns the page; whatever is from a file stands in it as text.

    Args:
        inspections: Of one file each.
        by: The order of the tables, one of `order.ORDERS`.
    """
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>taut inspect</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
            "<h1>taut inspect</h1>",
            *(line for inspection in inspections for line in _file(inspection, by)),
            f'<p class="faint">Near zero: |x| at most {NEAR_ZERO:.0%} of the tensor\'s root mean '
            "square. L1: the sum of |x|. L2: the norm. |cos|: between rows, and between columns. "
            "Rows are slices along the first axis, as the units of a torch layer; columns along "
            "the last, as those of a Keras layer. Nearly the same: |cos| of "
            f"{NEAR_DUPLICATE} or more. A star: of a random sample. taut {_core.__version__}.</p>",
            "</body>\n</html>\n",
        ]
    )


def _file(inspection: Inspection, by: str) -> Iterator[str]:
    tensors = order.ordered(inspection.tensors, by)
    yield f"<h2>{_text(str(inspection.path))}</h2>"
    yield (
        f'<p class="faint">{_text(inspection.format)}, {len(tensors)} tensors, '
        f"{words.size(inspection.size)}</p>"
    )
    yield f"<p><strong>{_text(order.summary(inspection))}</strong></p>"
    if remarks := order.remarks(inspection, tensors):
        yield "<ul>"
        yield from (f"<li>{_text(remark)}</li>" for remark in remarks)
        yield "</ul>"
    for title, chart in (
        ("How much is zero", charts.zeros(tensors)),
        ("How alike rows and columns are", charts.cosines(tensors)),
    ):
        if chart is not None:
            yield f"<h3>{title}</h3>\n<figure>{chart}</figure>"
    yield '<h3>All tensors</h3>\n<div class="wide"><table>\n<thead><tr>'
    yield from (f"<th>{heading}</th>" for heading in _HEADINGS)
    yield "</tr></thead>\n<tbody>"
    yield from map(_row, tensors)
    yield "</tbody>\n</table></div>"


def _row(tensor: Tensor) -> str:
    cells = [words.shape(tensor.shape), tensor.dtype, words.size(tensor.size)]
    if elements := tensor.elements:
        cells += [
            words.number(elements.l1),
            words.number(elements.l2),
            words.percent(order.share(tensor, "near_zero")),
            words.percent(order.share(tensor, "zero")),
            f"{elements.nan:,}",
            f"{elements.inf:,}",
        ]
    else:
        cells += ["-"] * 6
    sides = {side.mode: side for side in tensor.vectors}
    for mode in ("rows", "columns"):
        cells += words.cosines(sides[mode]) if mode in sides else ("-", "-", "-")
    mark = ' class="alarm"' if tensor.findings else ""
    body = "".join(f"<td>{_text(cell)}</td>" for cell in cells)
    return f"<tr><td{mark}>{_text(tensor.name)}</td>{body}</tr>"


def _text(text: str) -> str:
    return escape(words.printable(text))
