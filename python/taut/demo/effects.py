"""What a penalty did, as a number in words: the point of its row and of its column."""

from collections.abc import Mapping

from taut.demo.experiments import Measure
from taut.demo.metrics import MEASURES
from taut.demo.training import Run

# The number, and what it is of.
_WORDS: Mapping[Measure, tuple[str, str]] = {
    "near zero": ("{:.0%}", "{} near zero"),
    "zero": ("{:.0%}", "{} exactly zero"),
    "units gone": ("{:.0f}", "{} of {units} units zero"),
    "norm": ("{:.1f}", "norm {}"),
    "units": ("{:.3f}", "units' |cos| {}"),
    "pixels": ("{:.3f}", "pixels' |cos| {}"),
    "output": ("{:.2f}", "mean output {}"),
}


def of(run: Run) -> str:
    """Returns the measure that shows a run's penalty best, in words; nothing without a penalty."""
    if not run.experiment.seen_in:
        return ""
    _, words = _WORDS[run.experiment.seen_in[-1]]
    return words.format(number(run, run), units=run.kernel_after.shape[1])


def number(run: Run, measured: Run) -> str:
    """Returns the same measure's number, of the run or of one that it is compared with."""
    name = run.experiment.seen_in[-1]
    text, _ = _WORDS[name]
    return text.format(MEASURES[name](measured.kernel_after, measured.output_after))
