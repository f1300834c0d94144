"""The few array operations that the kernels' formulas are made of."""

from typing import Any, Protocol


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

    def cast(self, x: Any, dtype: Any) -> Any:
        """Returns x in another dtype."""

    def shape(self, x: Any) -> tuple[Any, ...]:
        """Returns the extents: ints where they are known, else 0-d arrays."""

    def rows(self, x: Any) -> Any:
        """Returns an array of rank 1 or more as the matrix of its first axis by all others."""

    def columns(self, x: Any) -> Any:
        """Returns an array of rank 1 or more as the matrix of all other axes by its last one."""

    def transpose(self, x: Any) -> Any:
        """Returns a matrix with its axes exchanged."""

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        """Returns x where the condition holds, y elsewhere; one of both may be a number."""

    def zeros_like(self, x: Any) -> Any:
        """Returns zeros of x's shape and dtype."""

    def absolute(self, x: Any) -> Any:
        """Returns |x|, whose derivative at 0 is 0, and at NaN is NaN."""

    def sqrt(self, x: Any) -> Any:
        """Returns square roots."""

    def sum(self, x: Any, dtype: Any) -> Any:
        """Returns the sum of all elements, taken in a dtype."""

    def sum_of_rows(self, x: Any) -> Any:
        """Returns the sum of each row, as a column."""

    def are_finite(self, x: Any) -> Any:
        """Returns whether no element is NaN or Inf."""

    def constant(self, x: Any) -> Any:
        """Returns x, through which no derivative goes."""

    def nan_unless_finite(self, x: Any) -> Any:
        """Returns x, or NaN everywhere if one element is NaN or Inf."""

    def powers_of_two(self, x: Any) -> Any:
        """Returns for each row the power of two at or below its largest |x|, as a column.

        It is 1 for a row of zeros and for what is not finite. No derivative goes through it.
        """

    def products(self, x: Any) -> Any:
        """Returns the dot products of all rows, in the dtype of x and no narrower one."""

    def without_diagonal(self, x: Any) -> Any:
        """Returns a square matrix with zeros on its diagonal."""

    def no_penalty(self, x: Any) -> Any:
        """Returns 0 with a zero gradient, whatever is in x."""
