#include "arrays.hpp"

#include <atomic>
#include <bit>
#include <string>
#include <string_view>
#include <vector>

namespace py = pybind11;

namespace taut::bindings {
namespace {

// ml_dtypes registers bfloat16 with NumPy when it is imported, under a number that is not known
// before; it is told by its name.
bool is_bfloat16(const py::dtype& dtype) {
  static std::atomic<int> known_number{-1};  // every thread finds the same one
  if (dtype.num() < 256) return false;       // NumPy's own
  if (dtype.num() == known_number.load(std::memory_order_relaxed)) return true;
  if (std::string(py::str(dtype.attr("name"))) != "bfloat16") return false;
  known_number.store(dtype.num(), std::memory_order_relaxed);
  return true;
}

[[noreturn]] void raise_dtype(const std::string& what, const std::string& name) {
  throw py::type_error("expected " + what +
                       " of float64, float32, float16 or bfloat16. Received: dtype=" + name +
                       ": cast it first, with .astype(\"float32\")");
}

DType dtype_of(const py::array& array, const char* what) {
  const py::dtype dtype = array.dtype();
  // '<' or '>' may be the machine's own order, too, as of elements of a subarray.
  constexpr char kOwnOrder = std::endian::native == std::endian::little ? '<' : '>';
  const char byte_order = dtype.byteorder();
  const bool is_native = byte_order == '=' || byte_order == '|' || byte_order == kOwnOrder;
  if (is_native) {
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
  const std::string name = py::str(dtype.attr(is_native ? "name" : "str"));
  raise_dtype(what, name);
}

py::array checked_array(py::handle object) {
  if (!py::isinstance<py::array>(object)) {
    throw py::type_error("expected a NumPy array. Received: " +
                         std::string(py::str(py::type::handle_of(object).attr("__name__"))));
  }
  return py::reinterpret_borrow<py::array>(object);
}

View make_view(std::size_t pointer, std::string_view dtype_name, const py::tuple& shape,
               const py::tuple& strides) {
  DType dtype = DType::kFloat64;
  for (const DType known : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    if (dtype_name == name_of(known)) dtype = known;
  }
  if (dtype_name != name_of(dtype)) raise_dtype("an array", std::string(dtype_name));
  std::vector<std::ptrdiff_t> extents;
  std::vector<std::ptrdiff_t> steps;  // bytes
  for (const py::handle extent : shape) extents.push_back(py::cast<std::ptrdiff_t>(extent));
  for (const py::handle stride : strides) {
    steps.push_back(py::cast<std::ptrdiff_t>(stride) * static_cast<std::ptrdiff_t>(size_of(dtype)));
  }
  return View(reinterpret_cast<void*>(pointer), dtype, extents, steps);
}

// Null for what is no View. Only its very class counts, so that this costs a comparison.
const View* described(py::handle object) {
  static PyTypeObject* const view_class =
      reinterpret_cast<PyTypeObject*>(py::type::of<View>().ptr());
  return Py_TYPE(object.ptr()) == view_class ? &object.cast<const View&>() : nullptr;
}

template <typename AnyView>
bool is_as_seen(const AnyView& view, const py::array& array, const char* what) {
  const auto rank = static_cast<std::size_t>(array.ndim());
  if (array.data() != view.data() || rank != view.rank()) return false;
  const py::ssize_t* const extents = array.shape();
  const py::ssize_t* const strides = array.strides();
  for (std::size_t axis = 0; axis < rank; ++axis) {
    if (static_cast<std::size_t>(extents[axis]) != view.extent(axis)) return false;
    if (strides[axis] != view.stride(axis)) return false;
  }
  return dtype_of(array, what) == view.dtype();
}

std::span<const std::ptrdiff_t> span_of(const py::ssize_t* numbers, py::ssize_t count) {
  return {numbers, static_cast<std::size_t>(count)};
}

}  // namespace

void register_view(py::module_& module) {
  // A plain class: pybind11's own metaclass is for static properties, and no stub could name it.
  py::class_<View>(module, "View", py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type)))
      .def(py::init(&make_view), py::arg("pointer"), py::arg("dtype"), py::arg("shape"),
           py::arg("strides"));
}

ConstView read_view(py::handle object) {
  if (const View* view = described(object)) return *view;
  const py::array array = checked_array(object);
  return ConstView(array.data(), dtype_of(array, "an array"), span_of(array.shape(), array.ndim()),
                   span_of(array.strides(), array.ndim()));
}

View write_view(py::handle object, const char* what) {
  if (const View* view = described(object)) return *view;
  py::array array = checked_array(object);
  const DType dtype = dtype_of(array, what);
  if (!array.writeable()) {
    throw py::value_error("expected " + std::string(what) +
                          " that can be written. Received: a read-only one");
  }
  return View(array.mutable_data(), dtype, span_of(array.shape(), array.ndim()),
              span_of(array.strides(), array.ndim()));
}

bool is_as_read(const ConstView& view, py::handle object) {
  if (described(object) != nullptr) return true;  // it does not change
  return is_as_seen(view, py::reinterpret_borrow<py::array>(object), "an array");
}

bool is_as_written(const View& view, py::handle object, const char* what) {
  if (described(object) != nullptr) return true;
  const auto array = py::reinterpret_borrow<py::array>(object);
  return array.writeable() && is_as_seen(view, array, what);
}

}  // namespace taut::bindings
