"""torch tensors of the arrays that the tests share, and back."""

from typing import Any

import numpy as np
from arrays import DTYPES, LAYOUTS
from frameworks import require
from numpy.typing import NDArray

torch = require("torch")

# torch has no negative strides, and no unaligned memory.
TENSOR_LAYOUTS = [name for name in LAYOUTS if name not in ("reversed", "unaligned")]


def to_tensor(x: NDArray[Any]) -> Any:
    """Returns a tensor of an array's memory."""
    if x.dtype == DTYPES["bfloat16"]:
        return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(x)


def to_array(tensor: Any) -> NDArray[Any]:
    """Returns an array of a tensor's memory."""
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(DTYPES["bfloat16"])
    return tensor.numpy()
