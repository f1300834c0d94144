#include "jax.hpp"

#if __has_include("xla/ffi/api/ffi.h")

#include <cstddef>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "taut/taut.hpp"
#include "xla/ffi/api/ffi.h"

namespace py = pybind11;
namespace ffi = xla::ffi;

namespace taut::bindings {
namespace {

// XLA calls these on its own threads and without the GIL, and knows nothing of exceptions: what the
// core throws is returned as XLA's error. Their contract, for batch dimensions b... that come of
// vmap:
//
//   x [b..., n, d]       of taut's dtypes, row-major as XLA's default layout is
//   factor [b...]        float64 or float32
//   mode                 "rows" or "columns"
//   flatten              whether x may have more axes than n and d
//   value [b...]         float64 or float32
//   gradient [b..., n, d]  of x's dtype, or float32 for the half types: it is still to be scaled

DType dtype_of(const ffi::AnyBuffer& buffer) {
  switch (buffer.element_type()) {
    case ffi::DataType::F64:
      return DType::kFloat64;
    case ffi::DataType::F32:
      return DType::kFloat32;
    case ffi::DataType::F16:
      return DType::kFloat16;
    case ffi::DataType::BF16:
      return DType::kBFloat16;
    default:
      throw InvalidArgument("expected an array of float64, float32, float16 or bfloat16");
  }
}

// The numbers of a batch, of float64 or float32.
class Numbers {
 public:
  explicit Numbers(const ffi::AnyBuffer& buffer)
      : data_(buffer.untyped_data()),
        count_(buffer.element_count()),
        is_double_(dtype_of(buffer) == DType::kFloat64) {
    if (!is_double_ && dtype_of(buffer) != DType::kFloat32) {
      throw InvalidArgument("factors and penalties are float64 or float32");
    }
  }
  std::size_t count() const { return count_; }
  double get(std::size_t i) const {
    return is_double_ ? static_cast<const double*>(data_)[i] : static_cast<const float*>(data_)[i];
  }
  void set(std::size_t i, double number) const {
    if (is_double_) {
      static_cast<double*>(data_)[i] = number;
    } else {
      static_cast<float*>(data_)[i] = static_cast<float>(number);
    }
  }

 private:
  void* data_;
  std::size_t count_;
  bool is_double_;
};

// The tensors of a batch, one after the other; a penalty has the batch's axes alone.
class Tensors {
 public:
  Tensors(const ffi::AnyBuffer& buffer, const ffi::AnyBuffer& value)
      : data_(static_cast<std::byte*>(buffer.untyped_data())),
        dtype_(dtype_of(buffer)),
        bytes_(static_cast<std::ptrdiff_t>(size_of(dtype_))) {
    const auto extents = buffer.dimensions();
    const std::size_t axes_of_batch = value.dimensions().size();
    if (extents.size() < axes_of_batch) throw InvalidArgument("expected a batch of tensors");
    shape_.assign(extents.begin() + axes_of_batch, extents.end());
    strides_.resize(shape_.size());
    for (std::size_t axis = shape_.size(); axis-- > 0; bytes_ *= shape_[axis]) {
      strides_[axis] = bytes_;
    }
  }
  View operator[](std::size_t i) const {
    return View(data_ + static_cast<std::ptrdiff_t>(i) * bytes_, dtype_, shape_, strides_);
  }

 private:
  std::byte* data_;
  DType dtype_;
  std::ptrdiff_t bytes_;  // of each
  std::vector<std::ptrdiff_t> shape_;
  std::vector<std::ptrdiff_t> strides_;  // bytes
};

// Calls compute(regularizer, i) for each tensor of a batch, for its penalty.
template <typename Compute>
ffi::Error for_each_tensor(const ffi::AnyBuffer& factor, std::string_view mode, bool flatten,
                           const ffi::AnyBuffer& value, Compute compute) {
  try {
    const Numbers factors(factor);
    const Numbers values(value);
    if (factors.count() != values.count()) throw InvalidArgument("a penalty for each factor");
    const Mode which = mode == "columns" ? Mode::kColumns : Mode::kRows;
    for (std::size_t i = 0; i < values.count(); ++i) {
      values.set(i, compute(OrthogonalRegularizer{factors.get(i), which, flatten}, i));
    }
    return ffi::Error::Success();
  } catch (const InvalidArgument& error) {
    return ffi::Error(ffi::ErrorCode::kInvalidArgument, error.what());
  } catch (const std::bad_alloc&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted, "taut has no memory left");
  } catch (const std::exception& error) {
    return ffi::Error(ffi::ErrorCode::kInternal, error.what());
  } catch (...) {
    return ffi::Error(ffi::ErrorCode::kUnknown, "taut failed");
  }
}

ffi::Error gram_value(ffi::AnyBuffer x, ffi::AnyBuffer factor, std::string_view mode, bool flatten,
                      ffi::Result<ffi::AnyBuffer> value) {
  return for_each_tensor(factor, mode, flatten, *value,
                         [&](const OrthogonalRegularizer& regularizer, std::size_t i) {
                           return taut::value(regularizer, Tensors(x, *value)[i]);
                         });
}

ffi::Error gram_value_and_grad(ffi::AnyBuffer x, ffi::AnyBuffer factor, std::string_view mode,
                               bool flatten, ffi::Result<ffi::AnyBuffer> value,
                               ffi::Result<ffi::AnyBuffer> gradient) {
  return for_each_tensor(factor, mode, flatten, *value,
                         [&](const OrthogonalRegularizer& regularizer, std::size_t i) {
                           return taut::value_and_grad(regularizer, Tensors(x, *value)[i],
                                                       Tensors(*gradient, *value)[i]);
                         });
}

XLA_FFI_DEFINE_HANDLER(kGramValue, gram_value,
                       ffi::Ffi::Bind()
                           .Arg<ffi::AnyBuffer>()
                           .Arg<ffi::AnyBuffer>()
                           .Attr<std::string_view>("mode")
                           .Attr<bool>("flatten")
                           .Ret<ffi::AnyBuffer>());

XLA_FFI_DEFINE_HANDLER(kGramValueAndGrad, gram_value_and_grad,
                       ffi::Ffi::Bind()
                           .Arg<ffi::AnyBuffer>()
                           .Arg<ffi::AnyBuffer>()
                           .Attr<std::string_view>("mode")
                           .Attr<bool>("flatten")
                           .Ret<ffi::AnyBuffer>()
                           .Ret<ffi::AnyBuffer>());

}  // namespace

void register_jax(py::module_& module) {
  py::dict handlers;
  handlers["taut_gram_value"] = py::capsule(reinterpret_cast<void*>(kGramValue));
  handlers["taut_gram_value_and_grad"] = py::capsule(reinterpret_cast<void*>(kGramValueAndGrad));
  module.attr("jax_handlers") = handlers;
}

}  // namespace taut::bindings

#else

void taut::bindings::register_jax(pybind11::module_& module) {
  module.attr("jax_handlers") = pybind11::dict();
}

#endif
