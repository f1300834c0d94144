"""All mutations, by the part of taut that they change."""

from changes import bindings, core, frameworks, kernels, python

ALL = {
    "kernels": kernels.MUTATIONS,
    "core": core.MUTATIONS,
    "bindings": bindings.MUTATIONS,
    "python": python.MUTATIONS,
    "frameworks": frameworks.MUTATIONS,
}
