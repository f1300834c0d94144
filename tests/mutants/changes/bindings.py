"""Mutations of what stands between the core and Python."""

from mutation import Mutation

_BINDINGS = "cpp/bindings/"

MUTATIONS = [
    Mutation(
        "read-only-arrays-are-written",
        _BINDINGS + "arrays.cpp",
        "if (!array.writeable()) {",
        "if (array.ndim() < 0) {",
        python="test_arrays.py -k read_only_gradient",
    ),
    Mutation(
        "bytes-in-the-other-order-are-read",
        _BINDINGS + "arrays.cpp",
        "  if (is_native) {",
        "  if (true) {",
        python="test_arrays.py -k other_dtypes",
    ),
    Mutation(
        "integers-are-read-as-float32",
        _BINDINGS + "arrays.cpp",
        "case py::detail::npy_api::NPY_FLOAT_:",
        "case py::detail::npy_api::NPY_FLOAT_:\n      case py::detail::npy_api::NPY_INT_:",
        python="test_arrays.py -k other_dtypes",
    ),
    Mutation(
        "rows-and-columns-are-exchanged",
        _BINDINGS + "kernels.cpp",
        'return mode == "rows" ? Mode::kRows : Mode::kColumns;',
        'return mode == "rows" ? Mode::kColumns : Mode::kRows;',
        python="test_gram.py -k range",
    ),
    Mutation(
        "a-factor-that-is-no-number-counts-as-minus-1",
        _BINDINGS + "kernels.cpp",
        "if (number == -1 && PyErr_Occurred() != nullptr) throw py::error_already_set();",
        "if (number == -1 && PyErr_Occurred() != nullptr) PyErr_Clear();",
        python="test_live_jax.py -k tracer_has_no_number",
    ),
    Mutation(
        "long-calls-keep-the-gil",
        _BINDINGS + "kernels.hpp",
        "return work.total() < kWorthReleasing ? call() : without_gil(call, note);",
        "return work.total() + 1 > 0 ? call() : without_gil(call, note);",
        python="test_runtime.py -k other_threads_run_meanwhile",
    ),
    Mutation(
        "signals-are-not-looked-at",
        _BINDINGS + "gil.cpp",
        "is_pending = PyErr_CheckSignals() != 0;",
        "is_pending = PyErr_Occurred() != nullptr;",
        python="test_runtime.py -k ctrl_c",
    ),
    Mutation(
        "bound-arrays-have-the-first-regularizer",
        _BINDINGS + "batch.cpp",
        "const Kind& kind = kinds.at(indices_[i]);",
        "const Kind& kind = kinds.at(indices_[i] * 0);",
        python="test_penalties.py -k bound_gradients_get",
    ),
    Mutation(
        "errors-name-the-first-parameter",
        _BINDINGS + "batch.cpp",
        "throw py::value_error(named(names, error.term(), error));",
        "throw py::value_error(named(names, error.term() * 0, error));",
        python="test_penalties.py -k errors_name_the_parameter",
    ),
    Mutation(
        "references-are-read-as-importances",
        _BINDINGS + "batch.cpp",
        "made.terms.back().importance = sides.importances[i];",
        "made.terms.back().importance = sides.references[i];",
        python="test_towards.py -k what_the_formulas_say",
    ),
    Mutation(
        "matrices-of-a-batch-are-the-first",
        _BINDINGS + "jax.cpp",
        "return data_ + static_cast<std::ptrdiff_t>(i) * bytes_;",
        "return data_ + static_cast<std::ptrdiff_t>(i) * 0;",
        python="test_jax_use.py -k transforms",
    ),
    Mutation(
        "float32-penalties-of-jax-are-halved",
        _BINDINGS + "jax.cpp",
        "      static_cast<float*>(data_)[i] = static_cast<float>(number);",
        "      static_cast<float*>(data_)[i] = static_cast<float>(number) / 2;",
        python="test_jax.py -k edges",
    ),
]
