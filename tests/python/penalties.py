"""Every penalty of taut's own, by name: what makes one of its factor.

A further one has a line here, and is tested with every library and with factors that live.
"""

from taut.regularizers import (
    L1,
    L1L2,
    L2,
    GroupLasso,
    OrthogonalRegularizer,
    SoftOrthogonalRegularizer,
)

PENALTIES = {
    "L1": L1,
    "L2": L2,
    "L1L2": lambda factor: L1L2(factor, factor),
    "orthogonal": OrthogonalRegularizer,
    "soft orthogonal": SoftOrthogonalRegularizer,
    "group lasso": GroupLasso,
}
