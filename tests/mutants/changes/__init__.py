"""All mutations, by the part of taut that they change."""

from changes import bindings, core, elementwise, frameworks, python, vectors

ALL = {
    "kernels": elementwise.MUTATIONS + vectors.MUTATIONS,
    "core": core.MUTATIONS,
    "bindings": bindings.MUTATIONS,
    "python": python.MUTATIONS,
    "frameworks": frameworks.MUTATIONS,
}
