"""torch's DTensors: each rank computes what it holds, and only sums travel.

What needs a whole tensor, as the orthogonal penalty, is computed by one of the ranks that hold it,
its owner. Imported when a DTensor arrives, and not before.
"""

from taut.arrays.torch.sharded.library import SHARDED, Sharded

__all__ = ["SHARDED", "Sharded"]
