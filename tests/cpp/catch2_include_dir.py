"""Prints the directory that holds catch2/catch.hpp of the comma-deps-catch2 package."""

import importlib

print(importlib.import_module("catch2").INCLUDE_DIR)
