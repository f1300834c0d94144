"""taut: penalties that keep a model's weights in shape, with their gradients, on the CPU.

`from taut import regularizers` stands in for `from keras import regularizers`.
"""

import sys
import warnings

from taut import regularizers
from taut._core import __version__
from taut._when_imported import when_imported
from taut.penalties import Penalties
from taut.runtime import get_num_threads, set_num_threads, show_config, trim_memory

__all__ = [
    "Penalties",
    "__version__",
    "get_num_threads",
    "regularizers",
    "set_num_threads",
    "show_config",
    "trim_memory",
]


def __dir__() -> list[str]:
    return __all__


def _register_with_keras() -> None:
    """Registers taut's classes; whatever Keras this is, it can be imported."""
    version = str(getattr(sys.modules["keras"], "__version__", ""))
    if not version.startswith("3."):
        return
    try:
        from taut import keras

        keras.register()
    except Exception as error:
        warnings.warn(
            f"taut's classes are not registered with Keras {version}: {error!r}",
            RuntimeWarning,
            stacklevel=2,
        )


when_imported("keras", _register_with_keras)
