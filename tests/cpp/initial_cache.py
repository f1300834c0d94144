"""Prints, for `cmake -C`, where the libraries of the tests are that come from PyPI."""

import importlib
import sysconfig

PLACES = {
    "TAUT_CATCH2_INCLUDE_DIR": importlib.import_module("catch2").INCLUDE_DIR,
    "Eigen3_ROOT": sysconfig.get_path("purelib") + "/cmeel.prefix",
}
for name, path in PLACES.items():
    print(f'set({name} [==[{path}]==] CACHE PATH "" FORCE)')
