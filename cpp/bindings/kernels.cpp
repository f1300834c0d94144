#include "kernels.hpp"

#include <string>

namespace py = pybind11;

namespace taut::bindings {
namespace {

double number_at(const py::tuple& factors, py::ssize_t index) {
  const double number = PyFloat_AsDouble(PyTuple_GET_ITEM(factors.ptr(), index));
  if (number == -1 && PyErr_Occurred() != nullptr) throw py::error_already_set();
  return number;
}

void check_length(const py::tuple& factors, std::size_t length) {
  if (factors.size() != length) throw InvalidArgument("a kernel was given too many factors or few");
}

Mode mode_at(const py::tuple& factors, std::size_t index) {
  const auto mode = factors[index].cast<std::string_view>();
  if (mode != "rows" && mode != "columns") {
    throw InvalidArgument(
        "Invalid value for argument `mode`. Expected one of {\"rows\", \"columns\"}. "
        "Received: mode=" +
        std::string(mode));
  }
  return mode == "rows" ? Mode::kRows : Mode::kColumns;
}

}  // namespace

Regularizer elementwise_of(const py::tuple& factors) {
  check_length(factors, 2);
  return L1L2{number_at(factors, 0), number_at(factors, 1)};
}

OrthogonalRegularizer orthogonal_of(const py::tuple& factors) {
  check_length(factors, 3);
  return {number_at(factors, 0), mode_at(factors, 1), factors[2].cast<bool>()};
}

Regularizer gram_of(const py::tuple& factors) { return orthogonal_of(factors); }

Regularizer soft_orthogonal_of(const py::tuple& factors) {
  check_length(factors, 4);
  return SoftOrthogonalRegularizer{number_at(factors, 0), mode_at(factors, 1),
                                   factors[2].cast<bool>(), factors[3].cast<bool>()};
}

Regularizer group_lasso_of(const py::tuple& factors) {
  check_length(factors, 2);
  return GroupLasso{number_at(factors, 0), mode_at(factors, 1)};
}

const Kernel& kernel_named(std::string_view name) {
  for (const Kernel* kernel : {&kElementwise, &kGram, &kSoftOrthogonal, &kGroupLasso}) {
    if (kernel->name == name) return *kernel;
  }
  throw InvalidArgument("there is no kernel named '" + std::string(name) + "'");
}

}  // namespace taut::bindings
