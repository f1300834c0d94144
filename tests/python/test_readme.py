"""What the README shows works as it says."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_python_examples_run(monkeypatch):
    from taut.regularizers import _serialization

    monkeypatch.setattr(_serialization, "_registered", {})
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert examples
    names = {}
    for example in examples:
        exec(example, names)
    assert names["reg"](names["w"]) == 0.75
    assert names["grad"][0, 0] == pytest.approx(names["slope"][0, 0] * 9, rel=1e-6)
    assert names["total"] == pytest.approx(0.0025)
    assert names["penalties"].breakdown(names["params"]) == {"dense/kernel": names["total"]}
    assert names["Smallest"]().value_and_grad(names["w"])[0] == 1
