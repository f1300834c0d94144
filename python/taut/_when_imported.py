"""Calls back whenever another package has been imported, now or later.

Keras reads a saved model's classes from a registry that each process fills anew, and makes a class
that is not in it its own of the same name, without a word. So taut's classes have to be in it as
soon as there is a Keras, whichever of the two is imported first, in whichever thread; and again
when it is imported anew, as `keras.config.set_backend` does.
"""

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def when_imported(name: str, callback: Callable[[], None]) -> None:
    """Calls `callback` each time a top-level module has been imported; at once if it has been."""
    sys.meta_path.insert(0, _Finder(name, callback))
    if sys.modules.get(name) is None:
        return
    module = importlib.import_module(name)  # waits for another thread that is importing it
    if not _is_initializing(module):
        callback()
    else:  # by this very thread, which comes back to it when this import is over
        threading.Thread(target=_call_after, args=(name, callback), daemon=True).start()


def _is_initializing(module: ModuleType) -> bool:
    return getattr(getattr(module, "__spec__", None), "_initializing", False)


def _call_after(name: str, callback: Callable[[], None]) -> None:
    importlib.import_module(name)
    callback()


class _Finder(MetaPathFinder):
    """Finds one module as the others do, and lets its loader call back."""

    def __init__(self, name: str, callback: Callable[[], None]) -> None:
        self._name = name
        self._callback = callback
        self._asked = threading.local()  # whether this thread is asking the others

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name or getattr(self._asked, "now", False):
            return None
        self._asked.now = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._asked.now = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._callback)
        return spec


class _Loader(Loader):
    """Another loader that calls back when the module has been executed."""

    def __init__(self, loader: Loader, callback: Callable[[], None]) -> None:
        self._loader = loader
        self._callback = callback

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._callback()
