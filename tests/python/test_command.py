"""The command `taut`: its words, its exit codes, and that it needs nothing but what it uses."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import taut
from frameworks import require
from taut import command
from taut.command import main as main_module
from taut.command.main import main

EXTRAS = ("rich", "rich_argparse", "matplotlib", "sklearn", "h5py", "safetensors", "torch")


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "taut", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def without_extras(code):
    """Returns what a program prints in which nothing but NumPy is installed."""
    hide = f"import sys\nfor name in {EXTRAS}: sys.modules[name] = None\n"
    return subprocess.run(
        [sys.executable, "-c", hide + code], capture_output=True, text=True, timeout=120
    )


def call(*arguments):
    return f"from taut.command.main import main; sys.exit(main({list(arguments)}))"


@pytest.mark.parametrize("name", command.COMMANDS)
def test_every_command_is_a_file_of_its_name(name, capsys):
    module = command.command(name)
    assert isinstance(module, command.Command)
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    assert f"taut {name}" in capsys.readouterr().out
    assert main([]) == 0
    assert module.HELP.split()[-1] in capsys.readouterr().out


def test_alone_it_shows_its_help():
    alone, help_ = run(), run("--help")
    assert (alone.returncode, alone.stderr) == (0, "")
    assert alone.stdout == help_.stdout
    for name in command.COMMANDS:
        assert name in alone.stdout


@pytest.mark.parametrize("width", ["40", "200"])
def test_help_fits_the_terminal(width):
    for arguments in ([], ["inspect", "--help"], ["demo", "--help"]):
        text = run(*arguments, COLUMNS=width).stdout
        assert max(map(len, text.splitlines())) <= int(width)
        assert "\x1b" not in text


def test_version():
    assert run("--version").stdout == f"taut {taut.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["typo"], "invalid choice: 'typo'"),
        (["--typo"], "unrecognized arguments: --typo"),
        (["demo", "--epochs", "abc"], "--epochs: not a whole number of at least 1: 'abc'"),
        (["demo", "--epochs", "0"], "--epochs: not a whole number of at least 1: '0'"),
        (["demo", "--seed", "-1"], "--seed: not a whole number of at least 0: '-1'"),
        (["demo", "--output", "no/a.png"], "--output: not a file in an existing directory"),
        (["inspect"], "required: FILE"),
        (["inspect", "a", "--limit", "x"], "--limit: not a whole number of at least 0: 'x'"),
        (["inspect", "a", "--sort", "x"], "--sort: invalid choice: 'x'"),
        (["inspect", "a", "--html", "no/a.html"], "--html: not a file in an existing"),
        (["config", "more"], "unrecognized arguments: more"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_2(arguments, words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert line.startswith("taut")
    assert line.endswith("--help")


def test_without_extras_what_needs_none_works():
    assert without_extras(call("--version")).stdout == f"taut {taut.__version__}\n"
    assert "show what each penalty does" in without_extras(call()).stdout
    assert (
        without_extras(call("--cmake-dir")).stdout.rstrip().endswith("cmake/taut") or os.sep != "/"
    )
    config = without_extras(call("config"))
    assert (config.returncode, config.stderr) == (0, "")
    for name in ("demo", "inspect", "bench"):
        assert name in without_extras(call(name, "--help")).stdout


def test_without_extras_a_command_names_the_one_it_needs():
    demo = without_extras(call("demo"))
    assert demo.returncode == 1
    needs = "matplotlib, rich, sklearn"
    assert demo.stderr == f'taut: error: The demo needs {needs}: pip install "taut[demo]"\n'
    inspect = without_extras(call("inspect", "a.npz"))
    assert inspect.stderr == ('taut: error: taut inspect needs rich: pip install "taut[inspect]"\n')
    bench = without_extras(call("bench", "l2"))
    assert bench.stderr == 'taut: error: taut bench needs rich: pip install "taut[bench]"\n'


@pytest.mark.parametrize("arguments", [[], ["--version"], ["--help"], ["config"]])
def test_nothing_large_is_imported_for_what_needs_none(arguments):
    code = f"""
import sys
from taut.command.main import main
try:
    main({arguments})
except SystemExit:
    pass
large = {{"torch", "jax", "tensorflow", "keras", "matplotlib", "sklearn", "scipy", "h5py"}}
rooms = ("taut.inspect", "taut.demo")
print(large & set(sys.modules), [name for name in sys.modules if name.startswith(rooms)])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "set() []"


def test_taut_itself_imports_nothing_of_the_command():
    code = """
import sys, taut
rooms = ("taut.command", "taut.inspect", "taut.demo", "rich")
print([name for name in sys.modules if name.startswith(rooms)])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "[]\n"


def test_config_names_what_a_report_needs(capsys):
    assert main(["config"]) == 0
    text = capsys.readouterr().out
    for name in ("taut", "NumPy", "compiler", "SIMD level", "threads", "processor", "libraries"):
        assert re.search(rf"^{name}  +\S", text, re.MULTILINE)
    assert main(["config", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["taut"] == taut.__version__
    assert found["SIMD level"] in found["SIMD levels"]
    assert found["compiled module"] == taut._core.__file__
    assert found["libraries"]["ml_dtypes"] == require("ml_dtypes").__version__


def test_config_names_the_variables_that_are_set():
    found = json.loads(run("config", "--json", OMP_NUM_THREADS="1", KERAS_BACKEND="x").stdout)
    assert found["variables"] == {"OMP_NUM_THREADS": "1", "KERAS_BACKEND": "x"}
    assert found["threads"] == "1 (OMP_NUM_THREADS)"


def test_the_script_is_the_module():
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="taut")
    assert script.load() is main


@pytest.mark.parametrize("arguments", [["config"], ["--help"], ["--cmake-dir"], ["--version"]])
@pytest.mark.skipif(os.name != "posix", reason="pipes break in other ways elsewhere")
def test_a_reader_that_has_left_is_no_reason_to_complain(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", "taut", *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    os.close(writer)
    # argparse takes what it cannot print for printed.
    assert (result.returncode in (0, 1), result.stderr) == (True, "")


def test_an_interrupt_is_quiet_and_has_its_exit_code(monkeypatch, capsys):
    def interrupt(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module, "command", interrupt)
    assert main(["config"]) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent in other ways elsewhere")
def test_ctrl_c_ends_the_demo_with_a_clean_terminal(tmp_path, interruptible):
    for library in ("matplotlib", "rich", "sklearn", "threadpoolctl"):
        require(library)
    with subprocess.Popen(
        [sys.executable, "-m", "taut", "demo", "--epochs", "100000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "FORCE_COLOR": "1", "PYTHONUNBUFFERED": "1"},
    ) as process:
        # Its first words, and then some of the training.
        first = process.stdout.readline()
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        try:
            output, error = process.communicate(timeout=60)
        finally:
            process.kill()
    assert first
    assert (process.returncode, error) == (130, "")
    # Each time that the cursor was hidden it was shown again.
    assert output.count("\x1b[?25l") == output.count("\x1b[?25h")
    assert list(tmp_path.iterdir()) == []


def test_names_that_the_encoding_lacks_are_escaped(tmp_path):
    import numpy as np

    require("rich")
    path = tmp_path / "a.npz"
    np.savez(path, **{"größe": np.ones(3)})
    result = run("inspect", str(path), PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stderr) == (0, "")
    assert "gr\\xf6\\xdfe" in result.stdout
