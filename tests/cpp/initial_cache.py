"""Prints, for `cmake -C`, where the tests find what comes from PyPI, and which Python it is."""

import importlib
import sys
import sysconfig

PLACES = {
    "TAUT_CATCH2_INCLUDE_DIR": importlib.import_module("catch2").INCLUDE_DIR,
    "Eigen3_ROOT": sysconfig.get_path("purelib") + "/cmeel.prefix",
    "Python_EXECUTABLE": sys.executable,
    "pybind11_DIR": importlib.import_module("pybind11").get_cmake_dir(),
}
for name, path in PLACES.items():
    print(f'set({name} [==[{path}]==] CACHE PATH "" FORCE)')
