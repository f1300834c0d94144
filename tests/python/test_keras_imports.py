"""Keras may be imported at any time, in any thread, and anew; what is called keras may be another.

A small package stands in for Keras 3 where only its import matters.
"""

import os
import subprocess
import sys
import textwrap

import pytest
import taut.keras
from frameworks import require

STAND_IN = """
import threading, types
__version__ = "3.99.0"
{body}

class Operation:
    pass

registered = {{}}

def register_keras_serializable(package, name=None):
    def register(target):
        registered[f"{{package}}>{{name or target.__name__}}"] = target
        return target
    return register

saving = types.SimpleNamespace(
    register_keras_serializable=register_keras_serializable, get_registered_object=registered.get
)
"""


def run(tmp_path, program, body=""):
    package = tmp_path / "keras"
    (package / "src" / "regularizers").mkdir(parents=True)
    (package / "__init__.py").write_text(
        STAND_IN.format(body=body) + "\nfrom keras.src import regularizers\n"
    )
    (package / "src" / "__init__.py").write_text("from keras.src import regularizers, api_export\n")
    (package / "src" / "regularizers" / "__init__.py").write_text(
        "class Regularizer:\n    pass\n\ndef get(identifier):\n    pass\n"
    )
    (package / "src" / "api_export.py").write_text("def get_symbol_from_name(name):\n    pass\n")
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env=os.environ
        | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("order", ["taut, keras", "keras, taut"])
def test_in_either_order(tmp_path, order):
    run(tmp_path, f"import {order}; assert keras.registered['taut>L2'] is taut.regularizers.L2")


def test_while_another_thread_imports_it(tmp_path):
    body = "import sys; sys.is_within.set(); sys.may_go_on.wait(30)"
    program = """
        import sys, threading
        sys.is_within, sys.may_go_on = threading.Event(), threading.Event()
        thread = threading.Thread(target=__import__, args=("keras",))
        thread.start()
        assert sys.is_within.wait(30)
        threading.Timer(0.5, sys.may_go_on.set).start()
        import taut
        thread.join()
        import keras
        assert keras.registered["taut>L2"] is taut.regularizers.L2
    """
    run(tmp_path, program, body)


def test_from_within_its_own_import(tmp_path):
    program = """
        import time, keras
        for _ in range(300):
            if keras.registered:
                break
            time.sleep(0.1)
        assert keras.registered["taut>L2"] is keras.taut.regularizers.L2
    """
    run(tmp_path, program, "import taut")


def test_when_it_is_imported_anew(tmp_path):
    program = """
        import sys, taut, keras
        first = keras
        for name in [name for name in sys.modules if name.startswith("keras")]:
            del sys.modules[name]
        import keras
        assert keras is not first
        assert keras.registered["taut>L2"] is taut.regularizers.L2
        assert issubclass(taut.regularizers.L2, keras.regularizers.Regularizer)

        @taut.regularizers.register_serializable(package="mine")
        class Own(taut.regularizers.Regularizer):
            pass

        assert keras.registered["mine>Own"] is Own and "mine>Own" not in first.registered
    """
    run(tmp_path, program)


@pytest.mark.parametrize("version", ["'2.15.0'", "None"])
def test_what_is_no_keras_3_is_left_alone(tmp_path, version):
    (tmp_path / "keras.py").write_text(f"__version__ = {version}")
    program = """
import keras, pytest, taut
from taut.regularizers import L2, Regularizer, get, register_serializable
with pytest.raises(ValueError, match="Could not interpret"):
    get("typo")
register_serializable()(L2)
assert get({"class_name": "L2", "config": {}}).l2 == 0.01
"""
    environment = os.environ | {
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    }
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)


def test_a_keras_that_changes_its_backend(tmp_path):
    for module in ("keras", "torch", "jax"):
        require(module)
    path = str(tmp_path / "model.keras")
    program = f"""
import warnings; warnings.simplefilter("ignore")
import keras, numpy, taut, taut.keras
from taut.regularizers import L2

def make():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, kernel_regularizer=L2(0.1))])

make().save({path!r})
assert keras.backend.backend() == "torch"
keras.config.set_backend("jax")
import keras
model = keras.models.load_model({path!r})
assert type(model.layers[0].kernel_regularizer) is L2
variable = keras.Variable(numpy.ones((2, 3), numpy.float32))
assert float(L2(1.0)(variable)) == 6
assert isinstance(L2(1.0)(keras.Input((3,))), keras.KerasTensor)
taut.keras.patch()
assert keras.regularizers.L2 is L2
taut.keras.unpatch()
assert keras.regularizers.L2 is not L2
taut.keras.to_keras(model)
assert type(model.layers[0].kernel_regularizer) is keras.regularizers.L2
"""
    environment = os.environ | {"KERAS_BACKEND": "torch", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=200)


@pytest.mark.parametrize("name", ["patch", "register", "to_keras", "to_taut", "unpatch"])
def test_without_keras_what_needs_it_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)  # as if there were none
    arguments = [None] if name.startswith("to_") else []
    with pytest.raises(ModuleNotFoundError, match=r"^taut\.keras needs Keras: pip install keras$"):
        getattr(taut.keras, name)(*arguments)


def test_a_keras_that_lacks_its_backend_says_so_itself(tmp_path):
    program = """
        import pytest, taut.keras
        with pytest.raises(ModuleNotFoundError, match="no_such_backend"):
            taut.keras.patch()
    """
    run(tmp_path, program, "import no_such_backend")
