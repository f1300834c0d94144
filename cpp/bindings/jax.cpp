#include "jax.hpp"

#if __has_include("xla/ffi/api/ffi.h")

#include <cstddef>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "gil.hpp"
#include "kernels.hpp"
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
//   the kernel's options as attributes, all of them: with flatten, x may have more axes than n, d
//   value [b...]         float64 or float32
//   gradient [b..., n, d]  of x's dtype, or float32 for the half types: it is still to be scaled
//
// Of the orthogonal penalty, devices that have a matrix and share its pairs out compute their own
// one's value, from one operand more, and its signs (taut/pair_share.hpp); and, from the signs of
// all, the gradient of a range of the vectors. That gradient and these signs have as many vectors
// as they like: the range's, and others behind them, whose gradient is zeros.
//
//   share [2]            int32: index and count
//   words [b..., n, pair_words, 2], those of all [b..., shares, n, pair_words, 2]  uint32
//   measures [b..., n, kPairMeasures, 2]  uint32
//   range [2]            int32: begin and end

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
  View operator[](std::size_t i) const { return View(data(i), dtype_, shape_, strides_); }

  std::size_t vectors(Mode mode) const {
    return static_cast<std::size_t>(mode == Mode::kRows ? shape_.front() : shape_.back());
  }

  // The first vectors of one; all others are set to zero.
  View first_vectors(std::size_t i, Mode mode, std::size_t count) const {
    std::vector<std::ptrdiff_t> shape = shape_;
    std::ptrdiff_t& vectors = mode == Mode::kRows ? shape.front() : shape.back();
    const auto first = static_cast<std::ptrdiff_t>(count);
    if (first > vectors) throw InvalidArgument("expected a gradient for each vector of the range");
    if (first < vectors) std::memset(data(i), 0, static_cast<std::size_t>(bytes_));
    vectors = first;
    return View(data(i), dtype_, shape, strides_);
  }

 private:
  std::byte* data(std::size_t i) const { return data_ + static_cast<std::ptrdiff_t>(i) * bytes_; }

  std::byte* data_;
  DType dtype_;
  std::ptrdiff_t bytes_;  // of each
  std::vector<std::ptrdiff_t> shape_;
  std::vector<std::ptrdiff_t> strides_;  // bytes
};

// Calls compute, and returns what it throws as XLA's error. Where XLA computes on Python's main
// thread, as it does what it takes for little work, a Ctrl-C is seen here. What the signal's
// handler raised must reach the caller as it is, so that this tells of no error, which would come
// first: nobody gets to see the results, since the call ends in that exception.
template <typename Compute>
ffi::Error error_of(Compute compute) {
  try {
    const StopCheck stop_check = stop_check_for_later();
    compute();
    return ffi::Error::Success();
  } catch (const Stopped&) {
    if (!is_abandoned()) return ffi::Error::Success();
    return ffi::Error(ffi::ErrorCode::kCancelled, "the process ends");
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

// Sets each penalty of a batch to compute(factor, i).
template <typename Compute>
ffi::Error for_each_tensor(const ffi::AnyBuffer& factor, const ffi::AnyBuffer& value,
                           Compute compute) {
  return error_of([&] {
    const Numbers factors(factor);
    const Numbers values(value);
    if (factors.count() != values.count()) throw InvalidArgument("a penalty for each factor");
    for (std::size_t i = 0; i < values.count(); ++i) values.set(i, compute(factors.get(i), i));
  });
}

// The options of a kernel, as its record in Python has them.
class Options {
 public:
  explicit Options(const ffi::Dictionary& attributes) : attributes_(attributes) {}
  Mode mode() const {
    return get<std::string_view>("mode") == "columns" ? Mode::kColumns : Mode::kRows;
  }
  bool is(std::string_view name) const { return get<bool>(name); }

 private:
  template <typename T>
  T get(std::string_view name) const {
    const ffi::ErrorOr<T> found = attributes_.get<T>(name);
    if (!found) throw InvalidArgument(found.error().message());
    return *found;
  }
  const ffi::Dictionary& attributes_;
};

OrthogonalRegularizer orthogonal_of(double factor, const Options& options) {
  return {factor, options.mode(), options.is("flatten")};
}
Regularizer gram_of(double factor, const Options& options) {
  return orthogonal_of(factor, options);
}
Regularizer soft_orthogonal_of(double factor, const Options& options) {
  return SoftOrthogonalRegularizer{factor, options.mode(), options.is("diagonal"),
                                   options.is("flatten")};
}

using RegularizerOf = Regularizer (*)(double factor, const Options& options);

template <RegularizerOf kRegularizerOf>
ffi::Error compute_value(ffi::AnyBuffer x, ffi::AnyBuffer factor, ffi::Result<ffi::AnyBuffer> value,
                         ffi::Dictionary attributes) {
  return for_each_tensor(factor, *value, [&](double number, std::size_t i) {
    return taut::value(kRegularizerOf(number, Options(attributes)), Tensors(x, *value)[i]);
  });
}

template <RegularizerOf kRegularizerOf>
ffi::Error compute_value_and_grad(ffi::AnyBuffer x, ffi::AnyBuffer factor,
                                  ffi::Result<ffi::AnyBuffer> value,
                                  ffi::Result<ffi::AnyBuffer> gradient,
                                  ffi::Dictionary attributes) {
  return for_each_tensor(factor, *value, [&](double number, std::size_t i) {
    return taut::value_and_grad(kRegularizerOf(number, Options(attributes)), Tensors(x, *value)[i],
                                Tensors(*gradient, *value)[i]);
  });
}

using Pair = ffi::Buffer<ffi::S32, 1>;
using Words = ffi::AnyBuffer;  // uint32

std::size_t number_of(const Pair& pair, std::size_t i) {
  if (pair.element_count() != 2) throw InvalidArgument("expected two numbers");
  return static_cast<std::size_t>(pair.typed_data()[i]);  // a negative one is beyond any vector
}

// The words of a batch of matrices, or what is measured of them; a word is two of XLA's.
std::byte* words_of(const Words& words, std::size_t i, std::size_t size) {
  return static_cast<std::byte*>(words.untyped_data()) + i * size * 2 * sizeof(std::uint32_t);
}
void check_words(const Words& words, std::size_t size) {
  if (words.element_type() == ffi::DataType::U32 && words.element_count() == 2 * size) return;
  throw InvalidArgument("expected the words of all vectors");
}

ffi::Error compute_share_value(ffi::AnyBuffer x, ffi::AnyBuffer factor, Pair share,
                               ffi::Result<ffi::AnyBuffer> value, ffi::Dictionary attributes) {
  return for_each_tensor(factor, *value, [&](double number, std::size_t i) {
    return taut::value(orthogonal_of(number, Options(attributes)), Tensors(x, *value)[i],
                       PairShare{number_of(share, 0), number_of(share, 1)});
  });
}

ffi::Error compute_share_signs(ffi::AnyBuffer x, ffi::AnyBuffer factor, Pair share,
                               ffi::Result<ffi::AnyBuffer> value, ffi::Result<Words> words,
                               ffi::Result<Words> measures, ffi::Dictionary attributes) {
  return for_each_tensor(factor, *value, [&](double number, std::size_t i) {
    const OrthogonalRegularizer regularizer = orthogonal_of(number, Options(attributes));
    const Tensors tensors(x, *value);
    const PairShare of{number_of(share, 0), number_of(share, 1)};
    const std::size_t vectors = tensors.vectors(regularizer.mode);
    const std::size_t size = vectors * pair_words(vectors, of.count, dtype_of(x));
    check_words(*words, size * value->element_count());
    check_words(*measures, vectors * kPairMeasures * value->element_count());
    std::byte* const measured = words_of(*measures, i, vectors * kPairMeasures);
    return taut::value_and_signs(regularizer, tensors[i], of,
                                 {words_of(*words, i, size), reinterpret_cast<double*>(measured)});
  });
}

ffi::Error compute_share_grad(ffi::AnyBuffer x, ffi::AnyBuffer factor, Pair range, Words words,
                              Words measures, ffi::Result<ffi::AnyBuffer> gradient,
                              ffi::Dictionary attributes) {
  return error_of([&] {
    const Numbers factors(factor);
    const Tensors tensors(x, factor);
    const Mode mode = Options(attributes).mode();
    const VectorRange vectors{number_of(range, 0), number_of(range, 1)};
    if (vectors.begin > vectors.end) throw InvalidArgument("a range ends before it begins");
    const std::size_t count = tensors.vectors(mode);
    const auto extents = words.dimensions();
    if (extents.size() < 4) throw InvalidArgument("expected the words of each share");
    const auto shares = static_cast<std::size_t>(extents[extents.size() - 4]);
    const std::size_t stride = static_cast<std::size_t>(extents[extents.size() - 3]) *
                               pair_words(count, shares, dtype_of(x));
    check_words(words, shares * stride * factors.count());
    check_words(measures, count * kPairMeasures * factors.count());
    for (std::size_t i = 0; i < factors.count(); ++i) {
      const View slopes =
          Tensors(*gradient, factor).first_vectors(i, mode, vectors.end - vectors.begin);
      taut::grad_from_signs(
          orthogonal_of(factors.get(i), Options(attributes)), tensors[i], vectors,
          {words_of(words, i, shares * stride), stride, shares,
           reinterpret_cast<const double*>(words_of(measures, i, count * kPairMeasures))},
          slopes);
    }
  });
}

void add_handler(const std::string& name, XLA_FFI_Handler* handler, py::dict& handlers) {
  handlers[py::str(name)] = py::capsule(reinterpret_cast<void*>(handler));
}

template <RegularizerOf kRegularizerOf>
void add_handlers(std::string_view kernel, py::dict& handlers) {
  using Buffer = ffi::AnyBuffer;
  XLA_FFI_DEFINE_HANDLER(value, compute_value<kRegularizerOf>,
                         ffi::Ffi::Bind().Arg<Buffer>().Arg<Buffer>().Ret<Buffer>().Attrs());
  XLA_FFI_DEFINE_HANDLER(
      value_and_grad, compute_value_and_grad<kRegularizerOf>,
      ffi::Ffi::Bind().Arg<Buffer>().Arg<Buffer>().Ret<Buffer>().Ret<Buffer>().Attrs());
  const std::string name = "taut_" + std::string(kernel);
  add_handler(name + "_value", value, handlers);
  add_handler(name + "_value_and_grad", value_and_grad, handlers);
}

void add_share_handlers(py::dict& handlers) {
  using Buffer = ffi::AnyBuffer;
  XLA_FFI_DEFINE_HANDLER(
      value, compute_share_value,
      ffi::Ffi::Bind().Arg<Buffer>().Arg<Buffer>().Arg<Pair>().Ret<Buffer>().Attrs());
  XLA_FFI_DEFINE_HANDLER(signs, compute_share_signs,
                         ffi::Ffi::Bind()
                             .Arg<Buffer>()
                             .Arg<Buffer>()
                             .Arg<Pair>()
                             .Ret<Buffer>()
                             .Ret<Words>()
                             .Ret<Words>()
                             .Attrs());
  XLA_FFI_DEFINE_HANDLER(grad, compute_share_grad,
                         ffi::Ffi::Bind()
                             .Arg<Buffer>()
                             .Arg<Buffer>()
                             .Arg<Pair>()
                             .Arg<Words>()
                             .Arg<Words>()
                             .Ret<Buffer>()
                             .Attrs());
  add_handler("taut_gram_share_value", value, handlers);
  add_handler("taut_gram_share_signs", signs, handlers);
  add_handler("taut_gram_share_grad", grad, handlers);
}

}  // namespace

void register_jax(py::module_& module) {
  remember_main_thread();
  py::dict handlers;
  add_handlers<gram_of>(kGram.name, handlers);
  add_share_handlers(handlers);
  add_handlers<soft_orthogonal_of>(kSoftOrthogonal.name, handlers);
  module.attr("jax_handlers") = handlers;
  module.def("abandon_jax_calls", abandon_calls);
}

}  // namespace taut::bindings

#else

void taut::bindings::register_jax(pybind11::module_& module) {
  module.attr("jax_handlers") = pybind11::dict();
  module.def("abandon_jax_calls", [] {});
}

#endif
