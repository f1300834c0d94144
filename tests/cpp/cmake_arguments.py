"""Prints where CMake finds the libraries of the tests that come from PyPI."""

import importlib
import sysconfig

print("-DTAUT_CATCH2_INCLUDE_DIR=" + importlib.import_module("catch2").INCLUDE_DIR)
print("-DEigen3_ROOT=" + sysconfig.get_path("purelib") + "/cmeel.prefix")
