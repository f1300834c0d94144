"""A network with one hidden layer, and its gradients, in NumPy.

    hidden = relu(images @ hidden/kernel + hidden/bias)
    scores = hidden @ output/kernel + output/bias
    loss = mean cross-entropy of softmax(scores)

A kernel has the shape (inputs, units): a column is what one unit looks for, a row is what one input
feeds.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from taut.demo.arrays import Floats, Integers

HIDDEN_KERNEL = "hidden/kernel"
HIDDEN_BIAS = "hidden/bias"
HIDDEN_OUTPUT = "hidden/output"  # an activity, not a parameter
OUTPUT_KERNEL = "output/kernel"
OUTPUT_BIAS = "output/bias"

Parameters: TypeAlias = dict[str, Floats]

# Of the array's name, the array, and the gradient of the loss with respect to it: adds the gradient
# of the array's penalty to it, in place, and returns the penalty.
Penalize: TypeAlias = Callable[[str, Floats, Floats], float]


class Step(NamedTuple):
    """What one batch says: the two terms of the objective, and the gradients of their sum."""

    loss: float
    penalty: float
    gradients: Parameters


def initial_parameters(
    generator: np.random.Generator,
    inputs: int,
    units: int,
    classes: int,
    dtype: DTypeLike = np.float32,
) -> Parameters:
    """Returns kernels drawn as He et al. (2015) do for ReLU, and biases of zero."""

    def kernel(rows: int, columns: int) -> Floats:
        drawn: Floats = generator.normal(0.0, np.sqrt(2.0 / rows), size=(rows, columns))
        return drawn.astype(dtype)

    return {
        HIDDEN_KERNEL: kernel(inputs, units),
        HIDDEN_BIAS: np.zeros(units, dtype),
        OUTPUT_KERNEL: kernel(units, classes),
        OUTPUT_BIAS: np.zeros(classes, dtype),
    }


def hidden_output(parameters: Parameters, images: Floats) -> Floats:
    """Returns the hidden layer's output, of shape (images, units)."""
    return np.maximum(images @ parameters[HIDDEN_KERNEL] + parameters[HIDDEN_BIAS], 0.0)


def accuracy(parameters: Parameters, images: Floats, labels: Integers) -> float:
    """Returns the share of images whose highest score is that of their label."""
    scores = _scores(parameters, hidden_output(parameters, images))
    return float(np.mean(scores.argmax(axis=1) == labels))


def loss_and_gradients(
    parameters: Parameters, images: Floats, labels: Integers, penalize: Penalize
) -> Step:
    """Returns the loss and the penalties of a batch, with the gradients of their sum.

    Args:
        parameters: As `initial_parameters` returns them.
        images: One per row.
        labels: The class of each image.
        penalize: Called for the hidden layer's output and its kernel, as soon as the gradient of
            the loss with respect to them is known.
    """
    hidden = hidden_output(parameters, images)
    loss, scores_gradient = _cross_entropy(_scores(parameters, hidden), labels)
    hidden_gradient: Floats = scores_gradient @ parameters[OUTPUT_KERNEL].T
    # The penalty of an activity joins here, so that it flows back through the layers below.
    penalty = penalize(HIDDEN_OUTPUT, hidden, hidden_gradient)
    hidden_gradient *= hidden > 0
    gradients: Parameters = {
        HIDDEN_KERNEL: images.T @ hidden_gradient,
        HIDDEN_BIAS: hidden_gradient.sum(axis=0),
        OUTPUT_KERNEL: hidden.T @ scores_gradient,
        OUTPUT_BIAS: scores_gradient.sum(axis=0),
    }
    penalty += penalize(HIDDEN_KERNEL, parameters[HIDDEN_KERNEL], gradients[HIDDEN_KERNEL])
    return Step(loss, penalty, gradients)


def _scores(parameters: Parameters, hidden: Floats) -> Floats:
    scores: Floats = hidden @ parameters[OUTPUT_KERNEL] + parameters[OUTPUT_BIAS]
    return scores


def _cross_entropy(scores: Floats, labels: Integers) -> tuple[float, Floats]:
    """Returns the mean cross-entropy, and its gradient with respect to the scores."""
    images = np.arange(len(labels))
    # The highest score becomes 0, so that no exponential overflows.
    shifted = scores - scores.max(axis=1, keepdims=True)
    exponentials: Floats = np.exp(shifted)
    sums = exponentials.sum(axis=1, keepdims=True)
    loss = float(np.mean(np.log(sums[:, 0]) - shifted[images, labels]))
    gradient = exponentials / sums
    gradient[images, labels] -= 1.0
    gradient /= len(labels)
    return loss, gradient
