#include "arrays.hpp"

#include <string>

namespace py = pybind11;

namespace taut::bindings {
namespace {

// ml_dtypes registers bfloat16 with NumPy when it is imported, under a number that is not known
// before; it is told by its name.
bool is_bfloat16(const py::dtype& dtype) {
  static int known_number = -1;         // guarded by the GIL; the same number is found by everyone
  if (dtype.num() < 256) return false;  // NumPy's own
  if (dtype.num() == known_number) return true;
  if (std::string(py::str(dtype.attr("name"))) != "bfloat16") return false;
  known_number = dtype.num();
  return true;
}

DType dtype_of(const py::array& array) {
  const py::dtype dtype = array.dtype();
  const char byte_order = dtype.byteorder();
  if (byte_order == '=' || byte_order == '|') {
    switch (dtype.num()) {
      case py::detail::npy_api::NPY_DOUBLE_:
        return DType::kFloat64;
      case py::detail::npy_api::NPY_FLOAT_:
        return DType::kFloat32;
      case 23:  // NPY_HALF
        return DType::kFloat16;
      default:
        if (is_bfloat16(dtype)) return DType::kBFloat16;
    }
  }
  const std::string name =
      py::str(byte_order == '=' || byte_order == '|' ? dtype.attr("name") : dtype.attr("str"));
  throw py::type_error(
      "expected an array of float64, float32, float16 or bfloat16. Received: dtype=" + name);
}

py::array checked_array(py::handle object) {
  if (!py::isinstance<py::array>(object)) {
    throw py::type_error("expected a NumPy array. Received: " +
                         std::string(py::str(py::type::handle_of(object).attr("__name__"))));
  }
  return py::reinterpret_borrow<py::array>(object);
}

std::span<const std::ptrdiff_t> span_of(const py::ssize_t* numbers, py::ssize_t count) {
  return {numbers, static_cast<std::size_t>(count)};
}

}  // namespace

ConstView read_view(py::handle object) {
  const py::array array = checked_array(object);
  return ConstView(array.data(), dtype_of(array), span_of(array.shape(), array.ndim()),
                   span_of(array.strides(), array.ndim()));
}

View write_view(py::handle object) {
  py::array array = checked_array(object);
  const DType dtype = dtype_of(array);
  if (!array.writeable())
    throw py::value_error("An array that is written to must be writable: it is read-only");
  return View(array.mutable_data(), dtype, span_of(array.shape(), array.ndim()),
              span_of(array.strides(), array.ndim()));
}

}  // namespace taut::bindings
