"""What the demo shows of one penalty."""

from collections.abc import Callable
from dataclasses import dataclass

from taut.demo import data, timing
from taut.demo.data import Digits
from taut.demo.experiments import Experiment
from taut.demo.network import HIDDEN_OUTPUT
from taut.demo.timing import Times
from taut.demo.training import BATCH_SIZE, Run, train


@dataclass(frozen=True)
class Result:
    """A penalty's trainings.

    Attributes:
        run: The first of them, whose weights are shown.
        accuracies: The test accuracy after each of them.
        times: What a step's penalty takes; None without one.
    """

    run: Run
    accuracies: tuple[float, ...]
    times: Times | None

    @property
    def experiment(self) -> Experiment:
        """The penalty."""
        return self.run.experiment

    @property
    def mean_accuracy(self) -> float:
        """Over all trainings."""
        return sum(self.accuracies) / len(self.accuracies)


def collect(
    experiment: Experiment,
    digits: Digits,
    epochs: int,
    seeds: range,
    on_epoch: Callable[[float], None],
) -> Result:
    """Trains once for each seed, each with weights, an order and held-out images of its own.

    Args:
        experiment: The penalty to train with.
        digits: Those of the first seed.
        epochs: Passes over the training images, per training.
        seeds: At least one.
        on_epoch: Called with the test accuracy after each epoch of each training.
    """
    first = train(experiment, digits, epochs, seeds[0], on_epoch)
    accuracies = [first.curves.accuracy[-1]]
    for seed in seeds[1:]:
        again = train(experiment, data.load(seed), epochs, seed, on_epoch)
        accuracies.append(again.curves.accuracy[-1])
    is_activity = experiment.target == HIDDEN_OUTPUT
    x = first.output_after[:BATCH_SIZE] if is_activity else first.kernel_after
    return Result(first, tuple(accuracies), timing.compare(experiment, x))
