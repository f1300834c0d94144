"""Keras's safe mode with taut beside it, patched and not: it refuses what it refuses without taut.

The files are those of CVE-2024-3660, CVE-2025-1550, CVE-2025-8747, CVE-2025-9905 and CVE-2025-9906,
written anew: whoever loads one and runs what is in it finds a file that was not there before.
"""

import copy
import json
import os
import re
import subprocess
import sys
import zipfile

import h5py
import keras
import pytest
from keras import layers

SIDES = {
    "without": "sys.modules['taut'] = None; import keras",
    "beside": "import keras, taut.keras",
    "patched": "import keras, taut.keras; taut.keras.patch()",
}
LOAD = """
import json, os, sys
{imports}
from keras.src.saving import serialization_lib
outcomes = {{}}
for path in json.load(sys.stdin):
    try:
        found = "a " + type(keras.saving.load_model(path{options})).__name__
    except Exception as error:
        found = f"{{type(error).__name__}}: {{error}}"
    outcomes[os.path.basename(path)] = [
        found, serialization_lib.in_safe_mode() is False, os.path.exists({marker!r})
    ]
    if os.path.exists({marker!r}):
        os.remove({marker!r})
print(json.dumps(outcomes))
"""


def function(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def lambda_layer(inner, **arguments):
    config = {"name": "inner", "trainable": True, "dtype": "float32", "function": inner}
    return {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {**config, "arguments": arguments},
        "registered_name": None,
    }


def within_taut(config):
    return {
        "module": "taut.regularizers",
        "class_name": "ActivityRegularizer",
        "config": {"regularizer": config},
        "registered_name": "taut>ActivityRegularizer",
    }


def regularizers(marker):
    """What a file may have in the place of a regularizer."""
    touch = f"touch {marker}"
    found = {
        "os_system": function("os", "system"),
        "builtins_eval": function("builtins", "eval"),
        "subprocess_popen": {
            "module": "subprocess",
            "class_name": "Popen",
            "config": {"args": ["touch", str(marker)]},
            "registered_name": "Popen",
        },
        "unsafe": function("keras.config", "enable_unsafe_deserialization"),
        "get_file": function("keras.utils", "get_file"),
        "string": "os.system",
        "lambda_layer": lambda_layer(function("os", "system"), command=touch),
        "penalty": {
            "module": "taut",
            "class_name": "Penalty",
            "config": {"kernel": "os.system", "factors": [touch]},
            "registered_name": "taut>Penalty",
        },
    }
    return found | {f"taut_{name}": within_taut(config) for name, config in found.items()}


def layers_of_strangers(marker):
    """What a file may have in the place of a layer."""
    touch = f"touch {marker}"
    return {
        "cve_2025_1550_os": lambda_layer(function("os", "system"), command=touch),
        "cve_2025_1550_builtins": lambda_layer(function("builtins", "exec")),
        "cve_2025_1550_class": {
            "module": "subprocess",
            "class_name": "Popen",
            "config": {"args": ["touch", str(marker)]},
            "registered_name": "Popen",
        },
        "cve_2025_8747_get_file": lambda_layer(
            function("keras.utils", "get_file"), origin=f"file://{marker}", fname="x"
        ),
        "cve_2025_8747_inner": lambda_layer(function("keras.src.utils.file_utils", "get_file")),
        "cve_2025_9906": lambda_layer(function("keras.config", "enable_unsafe_deserialization")),
        "cve_2025_9906_inner": lambda_layer(
            function("keras.src.saving.serialization_lib", "enable_unsafe_deserialization")
        ),
    }


def write_keras(template, path, change):
    with zipfile.ZipFile(template) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                config = json.loads(content)
                change(config["config"]["layers"])
                content = json.dumps(config)
            target.writestr(name, content)


def write_h5(template, path, change):
    path.write_bytes(template.read_bytes())
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config["config"]["layers"])
        file.attrs["model_config"] = json.dumps(config)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Paths of files, and the file that is there if something in them has run."""
    folder = tmp_path_factory.mktemp("strangers")
    marker = folder / "ran"
    run = f"__import__('os').system('touch {marker}') and None or x"
    malicious = keras.Sequential([keras.Input((2,)), layers.Lambda(eval(f"lambda x: {run}"))])
    plain = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    paths = []
    for suffix, write in (("keras", write_keras), ("h5", write_h5)):
        paths.append(folder / f"cve_2024_3660_and_2025_9905.{suffix}")
        malicious.save(paths[-1])
        template = folder / f"plain.{suffix}"
        plain.save(template)
        changes = {
            f"layer_{name}": lambda found, new=new: found.append(new)
            for name, new in layers_of_strangers(marker).items()
        }
        for name, new in regularizers(marker).items():
            changes[f"regularizer_{name}"] = lambda found, new=new: found[-1]["config"].update(
                kernel_regularizer=copy.deepcopy(new), activity_regularizer=copy.deepcopy(new)
            )
        for name, change in changes.items():
            paths.append(folder / f"{name}.{suffix}")
            write(template, paths[-1], change)
        # A layer that makes all after it unsafe, if it is made.
        unsafe = layers_of_strangers(marker)["cve_2025_9906"]
        paths.append(folder / f"unsafe_then_lambda.{suffix}")
        write(
            folder / f"cve_2024_3660_and_2025_9905.{suffix}",
            paths[-1],
            lambda found, new=unsafe: found.insert(1, new),
        )
    marker.unlink()
    return paths, marker


def load(paths, marker, imports, options=""):
    program = LOAD.format(imports=imports, marker=str(marker), options=options)
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        input=json.dumps([str(path) for path in paths]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    outcomes = json.loads(result.stdout.splitlines()[-1])
    return {
        name: [re.sub("0x[0-9a-f]+", "", outcome), *rest]
        for name, (outcome, *rest) in outcomes.items()
    }


def is_newest():
    return os.environ.get("TAUT_KERAS_IS_OLDEST") is None


@pytest.fixture(scope="module")
def outcomes(files):
    paths, marker = files
    return {side: load(paths, marker, imports) for side, imports in SIDES.items()}


def test_what_is_in_a_file_would_run(files):
    paths, marker = files
    outcomes = load(paths[:1], marker, SIDES["without"], ", safe_mode=False")
    assert all(has_run for _, _, has_run in outcomes.values())


@pytest.mark.parametrize("side", ["beside", "patched"])
def test_what_keras_refuses_is_refused(outcomes, side):
    """The oldest Keras does not refuse all; taut makes nothing of that worse."""
    for name, (found, is_unsafe, has_run) in outcomes["without"].items():
        with_taut, *_ = outcomes[side][name]
        assert outcomes[side][name][1:] == [is_unsafe, has_run], name
        assert with_taut.partition(":")[0] == found.partition(":")[0] or (
            "Error" in found and "Error" in with_taut
        ), name


@pytest.mark.parametrize("side", SIDES)
def test_the_newest_keras_runs_nothing(outcomes, side):
    if is_newest():
        for name, (found, is_unsafe, has_run) in outcomes[side].items():
            assert not is_unsafe, name
            assert not has_run, name
            assert "Error" in found, (name, found)


@pytest.mark.parametrize("side", ["beside", "patched"])
def test_what_names_taut_is_refused_by_every_keras(outcomes, side):
    for name, (found, is_unsafe, has_run) in outcomes[side].items():
        if "_taut_" in name:
            assert not is_unsafe, name
            assert not has_run, name
            assert "Error" in found, (name, found)
