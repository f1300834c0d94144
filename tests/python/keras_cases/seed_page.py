"""The examples of the page that the API comes from, verbatim but for the import."""

import ast
import textwrap

import keras
import numpy as np
import pytest
from versions import batch_divisor

HEAD = """
from keras import layers, ops
from keras.layers import Dense as KerasDense
from taut import regularizers
from taut.regularizers import L1, L2, L1L2, OrthogonalRegularizer, Regularizer

def Dense(units, input_dim=None, **arguments):  # Keras 3 has no input_dim; the page has
    return KerasDense(units, **arguments)
"""


def run(code, head=HEAD):
    """Runs an example, with prompts or without; returns its names and its last value."""
    lines = textwrap.dedent(code).strip().splitlines()
    if lines[0].startswith(">>>"):
        lines = [line[4:] for line in lines if line.startswith((">>>", "..."))]
    names = {"__name__": "example"}
    exec(head, names)
    tree = ast.parse("\n".join(lines))
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "example", "exec"), names)
    if last is None:
        return names, None
    return names, eval(compile(ast.Expression(last.value), "example", "eval"), names)


def number(value):
    if isinstance(value, list):
        return sum(float(keras.ops.convert_to_numpy(each)) for each in value)
    return float(keras.ops.convert_to_numpy(value))


def test_three_keyword_arguments():
    names, _ = run("""
        layer = layers.Dense(
            units=64,
            kernel_regularizer=regularizers.L1L2(l1=1e-5, l2=1e-4),
            bias_regularizer=regularizers.L2(1e-4),
            activity_regularizer=regularizers.L2(1e-5)
        )
    """)
    layer, x = names["layer"], np.ones((2, 3), np.float32)
    layer(x)
    assert len(layer.losses) == 3


def test_the_losses_of_a_layer():
    _, value = run("""
        layer = layers.Dense(units=5,
                             kernel_initializer='ones',
                             kernel_regularizer=regularizers.L1(0.01),
                             activity_regularizer=regularizers.L2(0.01))
        tensor = ops.ones(shape=(5, 5)) * 2.0
        out = layer(tensor)
        # The kernel regularization term is 0.25
        # The activity regularization term (after dividing by the batch size) is 5
        ops.sum(layer.losses)
    """)
    assert number(value) == pytest.approx(0.25 + 25 / batch_divisor(5))


def test_the_class_example():
    _, value = run("""
        >>> layer = Dense(
        ...     5, input_dim=5,
        ...     kernel_initializer='ones',
        ...     kernel_regularizer=L1(0.01),
        ...     activity_regularizer=L2(0.01))
        >>> tensor = ops.ones(shape=(5, 5)) * 2.0
        >>> out = layer(tensor)
        >>> # The kernel regularization term is 0.25
        >>> # The activity regularization term (after dividing by the batch size)
        >>> # is 5
        >>> ops.sum(layer.losses)
        5.25
    """)
    assert number(value) == pytest.approx(0.25 + 25 / batch_divisor(5))


def test_available_penalties():
    _, value = run("""
        L1(0.3)  # L1 Regularization Penalty
        L2(0.1)  # L2 Regularization Penalty
        L1L2(l1=0.01, l2=0.01)  # L1 + L2 penalties
    """)
    assert value.get_config() == {"l1": 0.01, "l2": 0.01}


def test_directly_calling_a_regularizer():
    _, value = run("""
        >>> regularizer = L2(2.)
        >>> tensor = ops.ones(shape=(5, 5))
        >>> regularizer(tensor)
        50.0
    """)
    assert number(value) == 50.0


def test_a_function(patched):  # Keras 3.6 itself takes none
    _, value = run("""
        >>> def l1_reg(weight_matrix):
        ...    return 0.01 * ops.sum(ops.absolute(weight_matrix))
        ...
        >>> layer = Dense(5, input_dim=5,
        ...     kernel_initializer='ones', kernel_regularizer=l1_reg)
        >>> tensor = ops.ones(shape=(5, 5))
        >>> out = layer(tensor)
        >>> layer.losses
        0.25
    """)
    assert number(value) == pytest.approx(0.25)


def test_a_class_of_your_own():
    _, value = run("""
        >>> class L2Regularizer(Regularizer):
        ...   def __init__(self, l2=0.):
        ...     self.l2 = l2
        ...
        ...   def __call__(self, x):
        ...     return self.l2 * ops.sum(ops.square(x))
        ...
        ...   def get_config(self):
        ...     return {'l2': float(self.l2)}
        ...
        >>> layer = Dense(
        ...   5, input_dim=5, kernel_initializer='ones',
        ...   kernel_regularizer=L2Regularizer(l2=0.5))
        >>> tensor = ops.ones(shape=(5, 5))
        >>> out = layer(tensor)
        >>> layer.losses
        12.5
    """)
    assert number(value) == pytest.approx(12.5)


@pytest.mark.parametrize(
    ("identifier", "config"),
    [("l1", {"l1": 0.01}), ("l2", {"l2": 0.01}), ("l1_l2", {"l1": 0.01, "l2": 0.01})],
)
def test_string_identifiers(patched, identifier, config):
    names, _ = run(f">>> dense = Dense(3, kernel_regularizer='{identifier}')")
    names["dense"].build((2, 4))
    regularizer = names["dense"].kernel.regularizer
    assert type(regularizer).__module__ == "taut.regularizers"
    assert regularizer.get_config() == config


def test_the_orthogonal_example():
    names, _ = run("""
        >>> regularizer = OrthogonalRegularizer(factor=0.01)
        >>> layer = Dense(units=4, kernel_regularizer=regularizer)
    """)
    names["layer"](np.ones((2, 6), np.float32))
    assert 0 < number(names["layer"].losses) < 0.01


def test_custom_regularizers():
    names, _ = run("""
        def my_regularizer(x):
            return 1e-3 * ops.sum(ops.square(x))

        class MyRegularizer(regularizers.Regularizer):

            def __init__(self, strength):
                self.strength = strength

            def __call__(self, x):
                return self.strength * ops.sum(ops.square(x))

            def get_config(self):
                return {'strength': self.strength}
    """)
    ones = keras.ops.ones((5, 5))
    assert number(names["my_regularizer"](ones)) == pytest.approx(0.025)
    own = names["MyRegularizer"](0.5)
    assert number(own(ones)) == 12.5
    assert type(own).from_config(own.get_config()).strength == 0.5
