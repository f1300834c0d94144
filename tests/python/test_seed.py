"""The examples and sentences of the document that the API comes from."""

import numpy as np
from taut import regularizers


def test_directly_calling_a_regularizer():
    regularizer = regularizers.L2(2.0)
    assert regularizer(np.ones((5, 5))) == 50.0


def test_the_layer_example_without_the_layer():
    kernel = np.ones((5, 5), np.float32)
    outputs = (np.ones((5, 5), np.float32) * 2) @ kernel
    kernel_penalty = regularizers.L1(0.01)(kernel)
    activity_penalty = regularizers.ActivityRegularizer(regularizers.L2(0.01))(outputs)
    assert kernel_penalty == 0.25
    assert activity_penalty == 5.0
    assert kernel_penalty + activity_penalty == 5.25


def test_available_penalties():
    assert regularizers.L1(0.3).l1 == 0.3
    assert regularizers.L2(0.1).l2 == 0.1
    both = regularizers.L1L2(l1=0.01, l2=0.02)
    assert (both.l1, both.l2) == (0.01, 0.02)
    assert regularizers.OrthogonalRegularizer(factor=0.01).mode == "rows"


def test_a_custom_function():
    def l1_reg(weight_matrix):
        return 0.01 * np.sum(np.absolute(weight_matrix))

    assert regularizers.get(l1_reg)(np.ones((5, 5))) == 0.25


def test_a_custom_class():
    class L2Regularizer(regularizers.Regularizer):
        def __init__(self, l2=0.0):
            self.l2 = l2

        def __call__(self, x):
            return self.l2 * np.sum(np.square(x))

        def get_config(self):
            return {"l2": float(self.l2)}

    regularizer = L2Regularizer(l2=0.5)
    assert regularizer(np.ones((5, 5))) == 12.5
    assert L2Regularizer.from_config(regularizer.get_config()).l2 == 0.5
    assert regularizers.get(regularizer) is regularizer


def test_a_custom_class_without_a_config():
    class MyRegularizer(regularizers.Regularizer):
        def __init__(self, strength):
            self.strength = strength

        def __call__(self, x):
            return self.strength * np.sum(np.square(x))

    assert MyRegularizer(0.5)(np.ones((5, 5))) == 12.5
