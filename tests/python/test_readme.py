"""What the README and the docs show works as it says."""

import re
from pathlib import Path

import numpy as np
import pytest
from frameworks import require
from pages import examples, run_example, run_examples
from taut.regularizers import L1

ROOT = Path(__file__).parents[2]


def sections(page):
    """Returns the sections of a page by their headings, what is before the first under ""."""
    text = (ROOT / page).read_text(encoding="utf-8")
    parts = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


EXAMPLES = examples((ROOT / "README.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("example", EXAMPLES, ids=[each.split()[1] for each in EXAMPLES])
def test_each_example_of_the_readme_runs_when_pasted_alone(example):
    for name in ("torch", "keras", "jax"):
        if f"import {name}" in example:
            require(name)
    names = {}
    run_example(example, names)
    if "small" in names:
        np.testing.assert_allclose(names["small"], [0.295, 0.0], rtol=1e-12)
        assert names["grad"][0, 0] == pytest.approx(8 * names["slope"][0, 0], rel=1e-6)
    if "penalties" in names:
        assert names["loss_of_weights"] > 0


def test_the_page_on_penalties_runs():
    names = run_examples(sections("docs/penalties.md").values())
    params, breakdown = names["params"], names["penalties"].breakdown
    kernel = 1.0
    for gradients in (1, 2, 3):  # each step adds to them
        kernel -= 0.1 * gradients * 2e-4
    np.testing.assert_allclose(params["dense"]["kernel"], kernel - 3 * 0.05, rtol=1e-5)
    assert names["after"] == names["before"] / 2
    params["dense"]["kernel"][...] = 1
    assert breakdown(params)["dense/kernel"] == pytest.approx(0.02)
    before = kernel - 3 * 0.05
    np.testing.assert_allclose(names["after_a_step"]["dense"]["kernel"], before - 0.05, rtol=1e-5)
    assert names["after_a_step"]["embedding"] is params["embedding"]
    assert list(breakdown(params, by="rule")) == ["embedding", "*/kernel"]
    assert names["l2_sp"](names["pretrained"]) == pytest.approx(0.06)
    assert names["start"]["body/kernel"][0, 0] == 2
    np.testing.assert_allclose(names["weights"]["w"], [1.0, 2.0], atol=0.15)


def test_the_page_on_pytorch_runs():
    require("torch")
    names = run_examples(sections("docs/pytorch.md").values())
    assert set(names["bound"].breakdown()) == {"0.weight", "2.weight"}


def test_the_page_on_jax_runs():
    require("jax")
    page = sections("docs/jax.md")
    del page["With optax"]
    names = run_examples(page.values())
    assert set(names["grads"]["dense"]) == {"kernel", "bias"}


def test_the_recipe_with_optax_runs():
    jax = require("jax")
    optax = require("optax")
    page = sections("docs/jax.md")
    names = run_examples([page[""], page["A whole model"], page["With optax"]])
    kernel = np.asarray(names["params"]["dense"]["kernel"]).ravel()
    assert kernel[0] == pytest.approx(3, abs=0.2)
    assert np.count_nonzero(kernel) < 20
    # The same by hand: the gradient's step, and then the proximal one.
    params = names["params"]
    grads = jax.grad(names["data_loss"])(params, names["x"], names["y"])
    rate = names["learning_rate"](7)
    state = optax.tree_utils.tree_set(names["state"], count=7)
    stepped, _ = names["train"](params, state, 7, names["x"], names["y"])
    moved = np.array(params["dense"]["kernel"] - rate * grads["dense"]["kernel"])
    L1(0.1).prox(moved, float(rate))
    np.testing.assert_allclose(stepped["dense"]["kernel"], moved, rtol=1e-5, atol=1e-7)


def test_the_page_on_tensorflow_runs():
    require("tensorflow")
    names = run_examples(sections("docs/tensorflow.md").values())
    assert [grad.shape for grad in names["grads"]] == [(256, 128), (128,)]


def test_the_page_on_which_penalty_runs():
    torch = require("torch")
    require("sklearn")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # its layers are small, and a team that waits takes much longer
    try:
        page = sections("docs/which-penalty.md")
        names = run_examples(page.values())
    finally:
        torch.set_num_threads(threads)
    weights, images, labels = names["weights"], names["images"], names["labels"]
    for name in ("SGD", "Adam"):
        torch.testing.assert_close(weights[name, "L2"], weights[name, "decay"], rtol=0, atol=1e-4)
    assert not torch.allclose(weights["AdamW", "L2"], weights["AdamW", "decay"], atol=0.01)
    for name, whole, count in (("small", "large", 64), ("slim", "wide", 32)):
        cut = names[name]
        torch.testing.assert_close(cut(images), names[whole](images), rtol=0, atol=1e-4)
        left = next(layer for layer in cut if hasattr(layer, "weight")).weight
        assert len(left) < 0.75 * count
        assert (cut(images[1347:]).argmax(1) == labels[1347:]).double().mean() > 0.88
    # Once more with channels of scale 0 that give something.
    torch.nn.init.constant_(names["wide"][2].bias, 0.5)
    recipe = page["Channels that go: network slimming"]
    (cut,) = re.findall(r"```python\n.*?\n\n(.*?)```", recipe, re.DOTALL)
    exec(cut, names)
    torch.testing.assert_close(names["slim"](images), names["wide"](images), rtol=0, atol=1e-4)
