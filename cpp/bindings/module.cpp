// The compiled module: registers the core's functions, and nothing else.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <string_view>

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

double number_at(const py::tuple& factors, py::ssize_t index) {
  const double number = PyFloat_AsDouble(PyTuple_GET_ITEM(factors.ptr(), index));
  if (number == -1 && PyErr_Occurred() != nullptr) throw py::error_already_set();
  return number;
}

void check_length(const py::tuple& factors, std::size_t length) {
  if (factors.size() != length) throw InvalidArgument("a kernel was given too many factors or few");
}

Regularizer elementwise_of(const py::tuple& factors) {  // (l1, l2)
  check_length(factors, 2);
  return L1L2{number_at(factors, 0), number_at(factors, 1)};
}

Regularizer gram_of(const py::tuple& factors) {  // (factor, mode)
  check_length(factors, 2);
  const auto mode = factors[1].cast<std::string_view>();
  if (mode != "rows" && mode != "columns") {
    throw InvalidArgument(
        "Invalid value for argument `mode`. Expected one of {\"rows\", \"columns\"}. "
        "Received: mode=" +
        std::string(mode));
  }
  return OrthogonalRegularizer{number_at(factors, 0),
                               mode == "rows" ? Mode::kRows : Mode::kColumns};
}

using RegularizerOf = Regularizer (*)(const py::tuple& factors);
using GradientFunction = double (*)(const Regularizer&, const ConstView&, const View&, double);

template <RegularizerOf kRegularizerOf, GradientFunction kFunction>
double gradient_of(py::handle x, py::handle gradient, const py::tuple& factors, double scale) {
  const Regularizer regularizer = kRegularizerOf(factors);
  const ConstView view = read_view(x);
  const View target = write_view(gradient);
  return call_core(view.size(), [&] { return kFunction(regularizer, view, target, scale); });
}

// A kernel's factors come in a tuple, so that every kernel has the same functions.
template <RegularizerOf kRegularizerOf>
void register_kernel(py::module_& module, const std::string& name) {
  module.def((name + "_value").c_str(),
             [](py::handle x, const py::tuple& factors) {
               const Regularizer regularizer = kRegularizerOf(factors);
               const ConstView view = read_view(x);
               return call_core(view.size(), [&] { return value(regularizer, view); });
             },
             py::arg("x"), py::arg("factors"));
  module.def((name + "_accumulate_grad").c_str(), gradient_of<kRegularizerOf, accumulate_grad>,
             py::arg("x"), py::arg("grad"), py::arg("factors"), py::arg("scale"));
  module.def((name + "_value_and_grad").c_str(), gradient_of<kRegularizerOf, value_and_grad>,
             py::arg("x"), py::arg("grad"), py::arg("factors"), py::arg("scale"));
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
  register_kernel<elementwise_of>(module, "elementwise");
  register_kernel<gram_of>(module, "gram");
  register_runtime(module);
  module.attr("__version__") = TAUT_VERSION;
  module.attr("compiler") = TAUT_COMPILER;
}

}  // namespace taut::bindings
