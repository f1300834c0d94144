// The compiled module: registers the core's functions, and nothing else.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "arrays.hpp"
#include "taut/taut.hpp"

namespace py = pybind11;

namespace taut::bindings {
namespace {

// Below this many elements a call is over before another thread could use the GIL.
constexpr std::size_t kWorthReleasing = 16384;

// Whether a signal's handler raised, as Ctrl-C's does.
bool has_pending_exception() {
  const py::gil_scoped_acquire acquire;
  return PyErr_CheckSignals() != 0;
}

// Calls the core without the GIL where that pays. This is safe: the core sees plain memory and no
// Python object, and the caller's arguments keep the arrays alive until the call returns.
template <typename Call>
double call_core(std::size_t size, Call&& call) {
  if (size < kWorthReleasing) return call();
  try {
    const py::gil_scoped_release release;
    const StopCheck stop_check(has_pending_exception);
    return call();
  } catch (const Stopped&) {
    throw py::error_already_set();
  }
}

double value_of(const Regularizer& regularizer, py::handle x) {
  const ConstView view = read_view(x);
  return call_core(view.size(), [&] { return value(regularizer, view); });
}

using GradientFunction = double (*)(const Regularizer&, const ConstView&, const View&, double);

double gradient_of(GradientFunction function, const Regularizer& regularizer, py::handle x,
                   py::handle gradient, double scale) {
  const ConstView view = read_view(x);
  const View target = write_view(gradient);
  return call_core(view.size(), [&] { return function(regularizer, view, target, scale); });
}

Mode mode_of(const std::string& mode) {
  if (mode == "rows") return Mode::kRows;
  if (mode == "columns") return Mode::kColumns;
  throw InvalidArgument(
      "Invalid value for argument `mode`. Expected one of {\"rows\", \"columns\"}. "
      "Received: mode=" +
      mode);
}

void register_elementwise(py::module_& module) {
  module.def(
      "elementwise_value",
      [](py::handle x, double l1, double l2) { return value_of(L1L2{l1, l2}, x); }, py::arg("x"),
      py::arg("l1"), py::arg("l2"));
  module.def(
      "elementwise_accumulate_grad",
      [](py::handle x, py::handle grad, double l1, double l2, double scale) {
        return gradient_of(accumulate_grad, L1L2{l1, l2}, x, grad, scale);
      },
      py::arg("x"), py::arg("grad"), py::arg("l1"), py::arg("l2"), py::arg("scale"));
  module.def(
      "elementwise_value_and_grad",
      [](py::handle x, py::handle grad, double l1, double l2, double scale) {
        return gradient_of(value_and_grad, L1L2{l1, l2}, x, grad, scale);
      },
      py::arg("x"), py::arg("grad"), py::arg("l1"), py::arg("l2"), py::arg("scale"));
}

void register_gram(py::module_& module) {
  module.def(
      "gram_value",
      [](py::handle x, double factor, const std::string& mode) {
        return value_of(OrthogonalRegularizer{factor, mode_of(mode)}, x);
      },
      py::arg("x"), py::arg("factor"), py::arg("mode"));
  module.def(
      "gram_accumulate_grad",
      [](py::handle x, py::handle grad, double factor, const std::string& mode, double scale) {
        return gradient_of(accumulate_grad, OrthogonalRegularizer{factor, mode_of(mode)}, x, grad,
                           scale);
      },
      py::arg("x"), py::arg("grad"), py::arg("factor"), py::arg("mode"), py::arg("scale"));
  module.def(
      "gram_value_and_grad",
      [](py::handle x, py::handle grad, double factor, const std::string& mode, double scale) {
        return gradient_of(value_and_grad, OrthogonalRegularizer{factor, mode_of(mode)}, x, grad,
                           scale);
      },
      py::arg("x"), py::arg("grad"), py::arg("factor"), py::arg("mode"), py::arg("scale"));
}

void register_runtime(py::module_& module) {
  module.def("set_num_threads", set_num_threads, py::arg("threads"));
  module.def("get_num_threads", get_num_threads);
  module.def("level", level);
  module.def("available_levels", available_levels);
  module.def("set_level", [](const std::string& name) { set_level(name); }, py::arg("name"));
}

}  // namespace

PYBIND11_MODULE(_core, module) {
  level();  // a TAUT_SIMD that names no level fails the import rather than a later call
  register_elementwise(module);
  register_gram(module);
  register_runtime(module);
  module.attr("__version__") = TAUT_VERSION;
  module.attr("compiler") = TAUT_COMPILER;
}

}  // namespace taut::bindings
