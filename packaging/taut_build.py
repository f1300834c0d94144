"""scikit-build-core's build backend, and one requirement that depends on the platform.

The handler for JAX is compiled on XLA's headers, which come with jaxlib. An XLA takes handlers that
were built on its own headers or on older ones, so they are those of the oldest jaxlib that taut
works with. Markers in pyproject.toml cannot name it: they cannot tell musl, for which there is no
jaxlib, from glibc. Where there is none, taut builds without the handler.

    python packaging/taut_build.py    prints the requirement, or nothing
"""

import platform
import sys
import sysconfig

# The first jaxlib with `jax.ffi`, or the first one for a newer Python.
_OLDEST = {(3, 10): "0.5.0", (3, 14): "0.7.1"}
_OLDEST_FREE_THREADED = {(3, 13): "0.5.1", (3, 14): "0.7.1"}
_LAST_PYTHON = (3, 14)


def jaxlib_requirement() -> list[str]:
    """Returns the jaxlib to build on, or nothing for a platform or a Python that has none."""
    machine = platform.machine().lower()
    is_glibc = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
    has_wheels = (is_glibc and machine in ("x86_64", "aarch64")) or (
        sys.platform == "darwin" and machine == "arm64"
    )
    oldest = _OLDEST_FREE_THREADED if sysconfig.get_config_var("Py_GIL_DISABLED") else _OLDEST
    python = sys.version_info[:2]
    known = [version for since, version in oldest.items() if since <= python <= _LAST_PYTHON]
    is_cpython = sys.implementation.name == "cpython"
    return [f"jaxlib=={known[-1]}"] if has_wheels and is_cpython and known else []


if __name__ == "__main__":
    print(*jaxlib_requirement())
else:
    from scikit_build_core import build as _build
    from scikit_build_core.build import *  # noqa: F403  (the hooks that stay as they are)

    def get_requires_for_build_wheel(config_settings=None):
        """Returns what a build needs beside `build-system.requires`."""
        return [*_build.get_requires_for_build_wheel(config_settings), *jaxlib_requirement()]

    def get_requires_for_build_editable(config_settings=None):
        """Returns what an editable build needs beside `build-system.requires`."""
        return [*_build.get_requires_for_build_editable(config_settings), *jaxlib_requirement()]
