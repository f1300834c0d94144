"""The demo: that each penalty does what the picture is to show, and that the command works."""

# ruff: noqa: E402 (what needs a library is imported once it is known to be there)

import dataclasses
import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from frameworks import require

for library in ("matplotlib", "rich", "sklearn", "threadpoolctl"):
    require(library)

from rich.console import Console
from taut.demo import data, effects, metrics, network, plain, progress, results, timing, training
from taut.demo.experiments import EXPERIMENTS

EPOCHS = 20
SEED = 3
BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}


@pytest.fixture(scope="module")
def digits():
    return data.load(SEED)


@pytest.fixture(scope="module")
def runs(digits):
    return {name: training.train(BY_NAME[name], digits, EPOCHS, SEED) for name in BY_NAME}


def mean_off_diagonal(matrix):
    count = len(matrix)
    return (matrix.sum() - np.trace(matrix)) / (count * (count - 1))


def test_all_runs_start_from_the_same_weights(runs):
    for run in runs.values():
        np.testing.assert_array_equal(run.kernel_before, runs["none"].kernel_before)
        assert run.kernel_after.dtype == np.float32
        assert not np.array_equal(run.kernel_after, run.kernel_before)


def test_training_is_deterministic(runs, digits):
    again = training.train(BY_NAME["orthogonal rows"], digits, EPOCHS, SEED)
    np.testing.assert_array_equal(again.kernel_after, runs["orthogonal rows"].kernel_after)
    assert again.curves == runs["orthogonal rows"].curves


@pytest.mark.parametrize("name", BY_NAME)
def test_accuracy_stays(runs, name):
    assert runs[name].curves.accuracy[-1] > 0.93


@pytest.mark.parametrize("name", BY_NAME)
def test_curves_have_a_value_before_training_and_one_per_epoch(runs, name):
    for curve in dataclasses.astuple(runs[name].curves):
        assert len(curve) == EPOCHS + 1


@pytest.mark.parametrize("name", [name for name in BY_NAME if name != "none"])
def test_penalty_ends_below_that_of_the_loss_alone(runs, name):
    regularizer = BY_NAME[name].regularizer
    alone = runs["none"]
    is_activity = BY_NAME[name].target == network.HIDDEN_OUTPUT
    after = runs[name].output_after if is_activity else runs[name].kernel_after
    alone_after = alone.output_after if is_activity else alone.kernel_after
    assert regularizer(after) < 0.6 * regularizer(alone_after)


def test_without_a_penalty_none_is_noted(runs):
    assert set(runs["none"].curves.penalty) == {0.0}


def test_l1_makes_weights_sparse(runs):
    assert metrics.share_near_zero(runs["none"].kernel_after) < 0.1
    assert metrics.share_near_zero(runs["L1"].kernel_after) > 0.4
    assert metrics.share_near_zero(runs["L1L2"].kernel_after) > 0.2


def test_only_proximal_steps_make_weights_exactly_zero(runs):
    shares = {name: np.mean(run.kernel_after == 0) for name, run in runs.items()}
    assert shares.pop("L1 prox") > 0.3
    assert shares.pop("group lasso") > 0.05
    assert max(shares.values()) < 0.01


def test_group_lasso_makes_whole_units_exactly_zero(runs):
    def units_gone(name):
        return np.count_nonzero(~runs[name].kernel_after.any(axis=0))

    assert units_gone("group lasso") >= 3
    assert units_gone("L1 prox") == 0
    # What is left of the other units is whole, too.
    kernel = runs["group lasso"].kernel_after
    assert np.mean(kernel[:, kernel.any(axis=0)] == 0) < 0.01


def test_proximal_steps_are_as_long_as_those_of_the_loss(runs, digits, monkeypatch):
    lengths = []
    monkeypatch.setattr(training.AppliedPenalty, "step", lambda *args: lengths.append(args[-1]))
    training.train(BY_NAME["L1 prox"], digits, 3, SEED)
    # A weight whose gradient is 1 in each step has gone as far.
    velocity = 0.0
    for step, length in enumerate(lengths):
        velocity = 0.9 * velocity - 0.05 * (1 - step / len(lengths))
        assert length == pytest.approx(-velocity)


@pytest.mark.parametrize("name", ["L2", "L1L2"])
def test_l2_makes_weights_small(runs, name):
    norms = [np.linalg.norm(runs[run].kernel_after) for run in (name, "none")]
    assert norms[0] < 0.7 * norms[1]


@pytest.mark.parametrize(("mode", "share"), [("columns", 0.2), ("rows", 0.6)])
def test_orthogonal_penalty_makes_vectors_orthogonal(runs, mode, share):
    def mean_cosine(name):
        return mean_off_diagonal(metrics.cosines(runs[name].kernel_after, mode))

    assert mean_cosine(f"orthogonal {mode}") < share * mean_cosine("none")


def test_more_rows_than_dimensions_stay_above_the_bound(runs):
    rows, columns = runs["none"].kernel_after.shape
    least = metrics.least_mean_cosine(rows, columns)
    assert 0 < least < metrics.mean_cosine(runs["orthogonal rows"].kernel_after, "rows")
    assert metrics.least_mean_cosine(columns, rows) == 0


@pytest.mark.parametrize("mode", ["columns", "rows"])
def test_mean_cosine_is_that_of_the_matrix(runs, mode):
    kernel = runs["none"].kernel_after.astype(np.float64)
    expected = mean_off_diagonal(metrics.cosines(kernel, mode))
    assert metrics.mean_cosine(kernel, mode) == pytest.approx(expected, rel=1e-12)


def test_activity_penalty_makes_outputs_small(runs):
    assert runs["activity L1"].output_after.mean() < 0.5 * runs["none"].output_after.mean()


@pytest.mark.parametrize("name", [name for name in BY_NAME if not BY_NAME[name].proximal])
def test_gradients_against_central_differences(name):
    generator = np.random.default_rng(SEED)
    inputs, units, classes, images = 5, 4, 3, 7
    parameters = network.initial_parameters(generator, inputs, units, classes, np.float64)
    batch = generator.normal(size=(images, inputs))
    labels = generator.integers(classes, size=images)

    def step():
        penalize = training.AppliedPenalty(BY_NAME[name])
        return network.loss_and_gradients(parameters, batch, labels, penalize)

    gradients = step().gradients
    # Far below the distance to any kink. The differences' error is about 1e-16 / width from
    # rounding and width² from truncation.
    width = 1e-5
    for key, values in parameters.items():
        for index in np.ndindex(values.shape):
            kept = values[index]
            objectives = []
            for offset in (width, -width):
                values[index] = kept + offset
                objectives.append(step().loss + step().penalty)
            values[index] = kept
            difference = (objectives[0] - objectives[1]) / (2 * width)
            assert gradients[key][index] == pytest.approx(difference, rel=0, abs=1e-8)


def run_python(*arguments, cwd, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding="ascii",  # the least that a log can take
        env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "80", **environment},
        timeout=300,
    )


@pytest.mark.parametrize("name", [name for name in BY_NAME if name != "none"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpys_own_does_the_same(name, dtype):
    experiment = BY_NAME[name]
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    x = (0.2 * np.random.default_rng(SEED).standard_normal((32, 36))).astype(dtype)
    x[:, 3] *= 1e-3  # which a proximal step takes to zero
    if experiment.proximal:
        stepped, expected = x.copy(), x.copy()
        plain.prox(experiment.regularizer)(stepped, 0.5)
        experiment.regularizer.prox(expected, 0.5)
        np.testing.assert_allclose(stepped, expected, rtol=tolerance, atol=tolerance)
        assert not stepped[:, 3].any()
        return
    grad, expected_grad = np.ones_like(x), np.ones_like(x)
    value = plain.accumulate_grad(experiment.regularizer)(x, grad)
    expected = experiment.regularizer.accumulate_grad(x, expected_grad)
    assert value == pytest.approx(expected, rel=tolerance)
    np.testing.assert_allclose(grad, expected_grad, rtol=tolerance, atol=tolerance)


def test_what_has_no_twin_in_numpy_is_refused():
    with pytest.raises(TypeError, match="not written here"):
        plain.accumulate_grad(lambda x: 0.0)
    with pytest.raises(TypeError, match="not written here"):
        plain.prox(BY_NAME["L2"].regularizer)


@pytest.mark.parametrize("name", ["L1", "L1 prox"])
def test_timing_leaves_the_weights_alone(name):
    x = np.random.default_rng(SEED).standard_normal((8, 6)).astype(np.float32)
    before = x.copy()
    times = timing.compare(BY_NAME[name], x)
    np.testing.assert_array_equal(x, before)
    assert min(times.taut, times.numpy) > 0
    assert timing.compare(BY_NAME["none"], x) is None


def test_the_spread_is_that_of_trainings_with_other_seeds(digits):
    epochs = []
    experiment = BY_NAME["L1"]
    result = results.collect(experiment, digits, 1, range(SEED, SEED + 3), epochs.append)
    assert len(epochs) == len(result.accuracies) == 3
    assert result.accuracies[0] == result.run.curves.accuracy[-1]
    other = training.train(experiment, data.load(SEED + 2), 1, SEED + 2)
    assert result.accuracies[2] == other.curves.accuracy[-1]
    assert min(result.accuracies) <= result.mean_accuracy <= max(result.accuracies)


def test_a_bar_names_its_figure():
    console = Console(file=io.StringIO(), width=80)
    with progress.bars(console) as bars:
        bar = progress.Bar(bars, "orthogonal columns", 300)
        for _ in range(300):
            bar.advance(0.975)
    (line,) = console.file.getvalue().splitlines()
    assert line.rstrip().endswith(" test accuracy 97.5%")


def test_effects_are_what_a_penalty_is_for(runs):
    assert effects.of(runs["none"]) == ""
    assert re.fullmatch(r"\d\d% exactly zero", effects.of(runs["L1 prox"]))
    assert re.fullmatch(r"\d+ of 36 units zero", effects.of(runs["group lasso"]))
    assert effects.number(runs["L1 prox"], runs["none"]) == "0%"
    for name in BY_NAME:
        assert (effects.of(runs[name]) == "") == (name == "none")


def test_what_is_called_is_what_acts():
    assert BY_NAME["none"].call == ""
    assert BY_NAME["L1"].call == "L1(l1=0.001).accumulate_grad(w, grad)"
    assert BY_NAME["L1 prox"].call == "L1(l1=0.001).prox(w, step)"
    assert BY_NAME["activity L1"].call.endswith(").accumulate_grad(output, grad)")


TITLES = ("What was called", "The first layer after the first training", "What it costs")


@pytest.mark.parametrize("width", [40, 60, 80])
def test_command_prints_tables_and_writes_a_picture(tmp_path, width):
    options = ("--output", "tmp.png", "--epochs", "2", "--seeds", "2")
    result = run_python("-m", "taut", "demo", *options, cwd=tmp_path, COLUMNS=str(width))
    assert result.returncode == 0, result.stderr
    assert "\x1b" not in result.stdout  # not a terminal: no colours, no moving cursor
    assert max(map(len, result.stdout.splitlines())) <= max(width, 48)  # the picture's line
    texts = [" ".join(result.stdout.split()).partition(title)[2] for title in TITLES]
    for text in texts:
        for name in BY_NAME:
            words = r"\s".join(name.split())
            assert re.search(rf"\b{words}\b", text) or width < 80
    assert "mean over 2 trainings" in texts[2]
    assert "..." not in result.stdout  # nothing is cut
    picture = (tmp_path / "tmp.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n")
    assert len(picture) > 100_000


@pytest.mark.parametrize(
    ("suffix", "beginning"), [("pdf", b"%PDF-"), ("svg", b"<?xml"), ("PNG", b"\x89PNG")]
)
def test_a_picture_is_what_its_suffix_says(tmp_path, suffix, beginning):
    options = ("--output", f"a.{suffix}", "--epochs", "1", "--seeds", "1")
    result = run_python("-m", "taut", "demo", *options, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / f"a.{suffix}").read_bytes().startswith(beginning)


@pytest.mark.parametrize("output", ["a.xyz", "a", "a.npz"])
def test_a_suffix_that_cannot_be_written_is_refused_before_the_training(tmp_path, output):
    result = run_python("-m", "taut", "demo", "--output", output, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert re.fullmatch(rf"taut: error: {output}: the picture may be .*png.*svg.*\n", result.stderr)


def test_a_picture_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, capsys):
    from matplotlib.figure import Figure
    from taut.command.main import main

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    path = tmp_path / "a.png"
    assert main(["demo", "--output", str(path), "--epochs", "1", "--seeds", "1"]) == 1
    assert capsys.readouterr().err == f"taut: error: {path}: No space left on device\n"


def test_taut_itself_imports_nothing_of_the_demo(tmp_path):
    code = (
        "import sys, taut, taut.command.main\n"
        "print({name.partition('.')[0] for name in sys.modules}"
        " & {'matplotlib', 'rich', 'sklearn', 'scipy'})"
    )
    assert run_python("-c", code, cwd=tmp_path).stdout == "set()\n"
