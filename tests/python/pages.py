"""The Python examples of a page: they run, and give what the comments beside them say.

python tests/python/pages.py PAGE
"""

import ast
import re
import sys
from numbers import Number
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def text_of(page):
    """Returns a page of the documentation, from its path within the docs."""
    return (DOCS / page).read_text(encoding="utf-8")


def examples(text):
    """Returns the Python blocks of a text."""
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def run_examples(texts):
    """Runs the examples of some texts, one after the other; returns what they define."""
    names = {"__name__": "examples"}
    for text in texts:
        for example in examples(text):
            run_example(example, names)
    return names


def run_example(example, names):
    """Runs a block. Where a comment behind an expression is a value, it is the expression's."""
    lines = example.splitlines()
    for statement in ast.parse(example).body:
        if isinstance(statement, ast.Expr):
            line = lines[statement.end_lineno - 1].encode()  # where ast counts bytes
            expected = value_in_comment(line[statement.end_col_offset :].decode())
            code = compile(ast.Expression(statement.value), "<example>", "eval")
            value = eval(code, names)
            if expected is not None:
                source = ast.unparse(statement)
                assert agrees(value, *expected), f"{source} is {value}, and not {expected[0]}"
        else:
            exec(compile(ast.Module([statement], []), "<example>", "exec"), names)


def value_in_comment(text):
    """Returns the value that a comment shows, and to which part of it that is exact; or None.

    What stands behind a number's digits as "…" has been left out.
    """
    comment = text.strip().removeprefix("#").strip()
    shortened = [len(digits) for digits in re.findall(r"\.(\d+)…", comment)]
    try:
        value = ast.literal_eval(re.sub(r"(\d)…", r"\1", comment))
    except (SyntaxError, ValueError):
        return None
    return value, 10.0 ** -min(shortened) if shortened else 1e-9


def agrees(value, expected, error):
    if isinstance(expected, dict):
        return value.keys() == expected.keys() and all(
            agrees(value[name], each, error) for name, each in expected.items()
        )
    if isinstance(expected, list | tuple):
        pairs = zip(value, expected, strict=True)
        return all(agrees(*pair, error) for pair in pairs)
    if isinstance(expected, bool) or not isinstance(expected, Number):
        return bool(value == expected)
    return abs(float(value) - expected) <= error * max(1.0, abs(expected))


if __name__ == "__main__":
    run_examples([Path(sys.argv[1]).read_text(encoding="utf-8")])
