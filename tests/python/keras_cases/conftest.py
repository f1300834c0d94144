"""Cases for one backend and version of Keras, which `test_keras.py` chooses by the environment."""

import os

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from taut import keras as taut_keras


def pytest_report_header() -> str:
    return f"keras {keras.__version__} on {keras.backend.backend()}"


@pytest.fixture
def patched():
    taut_keras.patch()
    yield
    taut_keras.unpatch()


@pytest.fixture(autouse=True)
def same_random_numbers():
    keras.utils.set_random_seed(0)
