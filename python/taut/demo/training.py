"""Training a network once, with one penalty."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from threadpoolctl import threadpool_limits

from taut.demo import network
from taut.demo.arrays import Floats
from taut.demo.data import CLASSES, Digits
from taut.demo.experiments import Experiment
from taut.demo.network import HIDDEN_KERNEL, Parameters

UNITS = 36
BATCH_SIZE = 32
_LEARNING_RATE = 0.05
_MOMENTUM = 0.9


@dataclass
class Curves:
    """One value before the training and one after each epoch, of all images of a kind."""

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    penalty: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """What one training did.

    Attributes:
        experiment: The penalty it was trained with.
        kernel_before: The hidden layer's kernel, of shape (pixels, units), before the training.
        kernel_after: The same after it.
        output_before: The hidden layer's output for the test images, of shape (images, units),
            before the training.
        output_after: The same after it.
        curves: The training loss without the penalty, the test accuracy from 0 to 1, and the
            penalty.
    """

    experiment: Experiment
    kernel_before: Floats
    kernel_after: Floats
    output_before: Floats
    output_after: Floats
    curves: Curves


class AppliedPenalty:
    """Applies an experiment's penalty where it belongs."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment

    def __call__(self, name: str, x: Floats, grad: Floats) -> float:
        """Adds the gradient of x's penalty to `grad`, in place, and returns the penalty.

        A proximal experiment's gradient is left out; its penalty acts in `step`.
        """
        regularizer = self._experiment.regularizer
        if regularizer is None or name != self._experiment.target:
            return 0.0
        if self._experiment.proximal:
            return float(regularizer(x))
        return float(regularizer.accumulate_grad(x, grad))

    def step(self, parameters: Parameters, length: float) -> None:
        """Takes the proximal step of a proximal experiment; does nothing for the others."""
        experiment = self._experiment
        if experiment.regularizer is not None and experiment.proximal:
            experiment.regularizer.prox(parameters[experiment.target], length)


def train(
    experiment: Experiment,
    digits: Digits,
    epochs: int,
    seed: int,
    on_epoch: Callable[[float], None] = lambda accuracy: None,
) -> Run:
    """Trains a network by stochastic gradient descent with momentum.

    Args:
        experiment: The penalty to train with.
        digits: What to learn.
        epochs: Passes over the training images.
        seed: Decides the initial weights and the order of the images, and nothing else does: runs
            with the same seed differ by their penalties alone.
        on_epoch: Called with the test accuracy after each epoch.

    Returns:
        The weights, outputs and curves: with the same seed always the same.
    """
    generator = np.random.default_rng(seed)
    pixels = digits.train_images.shape[1]
    parameters = network.initial_parameters(generator, pixels, UNITS, CLASSES)
    kernel_before = parameters[HIDDEN_KERNEL].copy()
    output_before = network.hidden_output(parameters, digits.test_images)
    penalize = AppliedPenalty(experiment)
    curves = Curves()
    _extend(curves, parameters, digits, experiment)
    # Matrices this small gain nothing from a second thread, and lose where processors are few.
    with threadpool_limits(limits=1, user_api="blas"):
        for _ in _epochs(parameters, digits, epochs, generator, penalize):
            _extend(curves, parameters, digits, experiment)
            on_epoch(curves.accuracy[-1])
    return Run(
        experiment,
        kernel_before,
        parameters[HIDDEN_KERNEL],
        output_before,
        network.hidden_output(parameters, digits.test_images),
        curves,
    )


def _epochs(
    parameters: Parameters,
    digits: Digits,
    epochs: int,
    generator: np.random.Generator,
    penalize: AppliedPenalty,
) -> Iterator[None]:
    """Trains the parameters in place, and stops after each epoch for the caller to look at them."""
    velocities = {name: np.zeros_like(values) for name, values in parameters.items()}
    length = 0.0
    for epoch in range(epochs):
        order = generator.permutation(len(digits.train_images))
        batches = np.array_split(order, len(order) // BATCH_SIZE)
        for number, batch in enumerate(batches):
            step = network.loss_and_gradients(
                parameters, digits.train_images[batch], digits.train_labels[batch], penalize
            )
            # Towards the end the rate falls to zero: the slope of |w| is as steep beside 0 as far
            # from it, so a weight that belongs at 0 would jump about it by a step's length.
            rate = _LEARNING_RATE * (1.0 - (epoch + number / len(batches)) / epochs)
            _descend(parameters, velocities, step.gradients, rate)
            # The velocity is made of this gradient and of those before it, each by a weight; the
            # proximal step is as long as these weights' sum.
            length = _MOMENTUM * length + rate
            penalize.step(parameters, length)
        yield


def _descend(
    parameters: Parameters, velocities: Parameters, gradients: Parameters, rate: float
) -> None:
    for name, velocity in velocities.items():
        velocity *= _MOMENTUM
        velocity -= rate * gradients[name]
        parameters[name] += velocity


def _extend(curves: Curves, parameters: Parameters, digits: Digits, experiment: Experiment) -> None:
    def penalty_alone(name: str, x: Floats, grad: Floats) -> float:
        regularizer = experiment.regularizer
        return 0.0 if regularizer is None or name != experiment.target else float(regularizer(x))

    step = network.loss_and_gradients(
        parameters, digits.train_images, digits.train_labels, penalty_alone
    )
    curves.loss.append(step.loss)
    curves.penalty.append(step.penalty)
    curves.accuracy.append(network.accuracy(parameters, digits.test_images, digits.test_labels))
