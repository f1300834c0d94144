"""The few array operations that the kernels' formulas are made of."""

from collections.abc import Callable
from typing import Any, Protocol

# What a function is together with its derivative: its value, and a function that takes the
# derivative of something with respect to that value, and returns the one with respect to x.
PullBack = Callable[[Any], Any]
Differentiated = Callable[[Any], tuple[Any, PullBack]]


def is_known(extent: Any) -> bool:
    """Returns whether an extent is a number, and no array that will hold one."""
    return not hasattr(extent, "dtype")


class Operations(Protocol):
    """What a module of an array library's operations has: mypy checks each against this.

    Arrays have Python's operators beside these. All are differentiable, and as fast as the library
    has them.
    """

    def value_dtype(self, x: Any) -> Any:
        """Returns the dtype of a penalty of x: float64 for float64, else float32."""

    def sum_dtype(self, x: Any) -> Any:
        """Returns float64 wherever x's device has it."""

    def gradient_dtype(self, x: Any) -> Any:
        """Returns the dtype in which gradients of sums over x are added before they are rounded.

        Sum's own, unless that takes passes over memory that x's own would not: then a penalty's.
        """

    def cast(self, x: Any, dtype: Any) -> Any:
        """Returns x in another dtype."""

    def rounded(self, x: Any, dtype: Any) -> Any:
        """Returns x in another dtype, rounded once; many libraries go from float64 by float32.

        But for subnormal numbers of bfloat16.
        """

    def shape(self, x: Any) -> tuple[Any, ...]:
        """Returns the extents: ints where they are known, else 0-d arrays."""

    def transpose(self, x: Any) -> Any:
        """Returns a matrix with its axes exchanged."""

    def matmul(self, x: Any, y: Any) -> Any:
        """Returns the product of two matrices, in their dtype and no narrower one."""

    def reshape(self, x: Any, shape: tuple[Any, ...]) -> Any:
        """Returns x with other extents, each as `shape` gives them."""

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        """Returns x where the condition holds, y elsewhere; one of both may be a number."""

    def zeros_like(self, x: Any) -> Any:
        """Returns zeros of x's shape and dtype."""

    def absolute(self, x: Any) -> Any:
        """Returns |x|, whose derivative at 0 is 0, and at NaN is NaN."""

    def sign(self, x: Any) -> Any:
        """Returns -1, 0 or 1, and NaN for NaN. No derivative goes through it."""

    def sqrt(self, x: Any) -> Any:
        """Returns square roots."""

    def sum(self, x: Any, dtype: Any) -> Any:
        """Returns the sum of all elements, taken in a dtype."""

    def sum_of_squares(self, x: Any, dtype: Any) -> Any:
        """Returns the sum of the squares of all elements, which are cast to a dtype first."""

    def sums(self, x: Any, axis: int) -> Any:
        """Returns the sums along an axis of a matrix, which stays, with the extent 1."""

    def are_finite(self, x: Any) -> Any:
        """Returns whether no element is NaN or Inf."""

    def constant(self, x: Any) -> Any:
        """Returns x, through which no derivative goes."""

    def nan_unless_finite(self, x: Any) -> Any:
        """Returns x, or NaN everywhere if one element is NaN or Inf."""

    def powers_of_two(self, x: Any, axis: int) -> Any:
        """Returns the power of two at or below the largest |x| along an axis, as `sums` has it.

        It is 1 where all are zeros or one is not finite. No derivative goes through it.
        """

    def without_diagonal(self, x: Any) -> Any:
        """Returns a square matrix with zeros on its diagonal."""

    def no_penalty(self, x: Any) -> Any:
        """Returns 0 with a zero gradient, whatever is in x."""

    def custom_gradient(self, function: Differentiated, x: Any) -> Any:
        """Returns the value of a function that knows its derivative, which may be used instead.

        A library that has all it takes to differentiate the value just as well may do that. What
        pulls back is made of differentiable operations, too.
        """
