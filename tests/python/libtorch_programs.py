"""What tests build against the LibTorch that torch's wheel holds."""

import functools
from pathlib import Path

from frameworks import require
from programs import build as build_program
from tensors import to_array

torch = require("torch")


def build(source, directory):
    """Builds a project as strictly as can be; it finds LibTorch where the wheel has it."""
    prefix = torch.utils.cmake_prefix_path
    return build_program(source, directory, definitions=[f"-DCMAKE_PREFIX_PATH={prefix}"])


def same_bits(a, b):
    """Returns whether two tensors have the same dtype and elements."""
    arrays = [to_array(each.contiguous()) for each in (a, b)]
    return a.dtype == b.dtype and arrays[0].tobytes() == arrays[1].tobytes()


@functools.cache
def operators(directory):
    """Returns taut/torch.hpp, built once for all tests of a process."""
    return Operators(build(Path(__file__).parent / "libtorch", directory) / "liboperators.so")


def arguments_of(regularizer):
    """Returns a regularizer as the operators of libtorch/operators.cpp take it."""
    numbers = [
        float(each == "columns" if isinstance(each, str) else each)
        for each in regularizer._factors()
    ]
    return type(regularizer).__name__, numbers


class Operators:
    """taut/torch.hpp, called with Python's regularizers."""

    def __init__(self, library):
        torch.ops.load_library(library)
        self.functions = torch.ops.taut_test

    def __getattr__(self, name):
        return functools.partial(self.call, getattr(self.functions, name))

    @staticmethod
    def call(function, regularizer, *terms):
        return function(*arguments_of(regularizer), *terms)

    def batch(self, function, regularizer, xs, grads=(), references=(), importances=(), scale=1.0):
        return self.functions.batch(
            function, *arguments_of(regularizer), xs, grads, references, importances, scale
        )

    @staticmethod
    def penalties(rules, parameters, allow_unused=False, match_all=False):
        """Returns the Penalties of C++; None is a rule without a penalty."""
        classes, factors = [], []
        for _, regularizer in rules:
            name, numbers = arguments_of(regularizer) if regularizer else ("", [])
            classes.append(name)
            factors += [*numbers, *[0.0] * (4 - len(numbers))]
        patterns = [pattern for pattern, _ in rules]
        return torch.classes.taut_test.Penalties(
            patterns,
            classes,
            factors,
            list(parameters),
            list(parameters.values()),
            allow_unused,
            match_all,
        )
