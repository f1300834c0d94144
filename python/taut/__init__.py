"""taut: penalties that keep a model's weights in shape, with their gradients, on the CPU.

`from taut import regularizers` stands in for `from keras import regularizers`.
"""

from taut import regularizers
from taut._core import __version__
from taut._when_imported import when_imported
from taut.penalties import Penalties
from taut.runtime import get_num_threads, set_num_threads, show_config

__all__ = [
    "Penalties",
    "__version__",
    "get_num_threads",
    "regularizers",
    "set_num_threads",
    "show_config",
]


def _register_with_keras() -> None:
    from taut import keras  # registers the classes  # noqa: F401


when_imported("keras", _register_with_keras)
