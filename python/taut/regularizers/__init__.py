"""Layer weight regularizers, with the API of `keras.regularizers`.

from taut import regularizers

regularizer = regularizers.L1L2(l1=1e-5, l2=1e-4)
regularizer(w)                                   # the penalty
value, grad = regularizer.value_and_grad(w)      # and its gradient
value = regularizer.accumulate_grad(w, grad)     # grad += gradient, in place
"""

from taut.regularizers._activity import ActivityRegularizer
from taut.regularizers._base import Regularizer
from taut.regularizers._elementwise import L1, L1L2, L2, l1_l2
from taut.regularizers._gram import OrthogonalRegularizer
from taut.regularizers._group_lasso import GroupLasso
from taut.regularizers._registry import register_serializable
from taut.regularizers._serialization import deserialize, get, serialize
from taut.regularizers._soft_orthogonal import SoftOrthogonalRegularizer

for _cls in (
    Regularizer,
    L1,
    L2,
    L1L2,
    OrthogonalRegularizer,
    SoftOrthogonalRegularizer,
    GroupLasso,
    ActivityRegularizer,
):
    _cls.__module__ = __name__  # where users, pickles and saved models look for them

l1 = L1
l2 = L2
orthogonal_regularizer = OrthogonalRegularizer
soft_orthogonal_regularizer = SoftOrthogonalRegularizer
group_lasso = GroupLasso

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "ActivityRegularizer",
    "GroupLasso",
    "OrthogonalRegularizer",
    "Regularizer",
    "SoftOrthogonalRegularizer",
    "deserialize",
    "get",
    "group_lasso",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "register_serializable",
    "serialize",
    "soft_orthogonal_regularizer",
]
