// What of LibTorch's tensors is memory that the kernels can read and write.

#ifndef TAUT_TORCH_MEMORY_HPP_
#define TAUT_TORCH_MEMORY_HPP_

#include <ATen/core/Tensor.h>
#include <c10/core/DispatchKey.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/ScalarType.h>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>

#include "taut/dtype.hpp"
#include "taut/error.hpp"
#include "taut/view.hpp"

namespace taut::torch::detail {

inline DType dtype_of(const at::Tensor& x) {
  switch (x.scalar_type()) {
    case c10::ScalarType::Double:
      return DType::kFloat64;
    case c10::ScalarType::Float:
      return DType::kFloat32;
    case c10::ScalarType::Half:
      return DType::kFloat16;
    case c10::ScalarType::BFloat16:
      return DType::kBFloat16;
    default:
      throw InvalidArgument(
          "expected an array of float64, float32, float16 or bfloat16. Received: "
          "dtype=" +
          std::string(c10::getDtypeNames(x.scalar_type()).first) +
          ": cast it first, with .to(torch.float32)");
  }
}

// As Python writes it.
inline std::string name_of(c10::Layout layout) {
  switch (layout) {
    case c10::Layout::Sparse:
      return "torch.sparse_coo";
    case c10::Layout::SparseCsr:
      return "torch.sparse_csr";
    case c10::Layout::SparseCsc:
      return "torch.sparse_csc";
    case c10::Layout::SparseBsr:
      return "torch.sparse_bsr";
    case c10::Layout::SparseBsc:
      return "torch.sparse_bsc";
    case c10::Layout::Mkldnn:
      return "torch._mkldnn";
    case c10::Layout::Jagged:
      return "torch.jagged";
    default:
      return "torch.strided";
  }
}

// Throws InvalidArgument for what has no penalty, or whose elements no kernel can read where they
// stand.
inline DType check_memory(const at::Tensor& x) {
  if (!x.defined()) throw InvalidArgument("expected a tensor. Received: one that is undefined");
  const DType dtype = dtype_of(x);
  const c10::TensorImpl& impl = *x.unsafeGetTensorImpl();
  if (x.is_nested()) throw InvalidArgument("expected a dense tensor. Received: a nested tensor");
  if (x.layout() != c10::Layout::Strided) {
    throw InvalidArgument("expected a dense tensor. Received: layout=" + name_of(x.layout()));
  }
  if (!x.is_cpu()) {
    throw InvalidArgument("expected a tensor in the CPU's memory. Received one on " +
                          x.device().str());
  }
  // Those of Python's subclasses and modes have their numbers elsewhere, whatever they say of
  // themselves; wrappers of transforms, and the zeros that autograd makes, have no storage.
  const bool is_plain = impl.has_storage() && !impl.key_set().has(c10::DispatchKey::Python);
  if (!is_plain || (x.numel() != 0 && impl.unsafe_storage().data() == nullptr)) {
    throw InvalidArgument("expected a tensor that has memory of its own. Received one without");
  }
  return dtype;
}

template <typename AnyView, typename Pointer>
AnyView view_of(Pointer data, DType dtype, const at::Tensor& x) {
  const c10::IntArrayRef sizes = x.sizes();
  const std::size_t rank = sizes.size();
  if (rank > kMaxRank) throw InvalidArgument("a view has at most 64 dimensions");
  const auto size = static_cast<std::ptrdiff_t>(size_of(dtype));
  std::array<std::ptrdiff_t, kMaxRank> shape;
  std::array<std::ptrdiff_t, kMaxRank> strides;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    shape[axis] = static_cast<std::ptrdiff_t>(sizes[axis]);
    strides[axis] = static_cast<std::ptrdiff_t>(x.strides()[axis]) * size;
  }
  return AnyView(data, dtype, std::span(shape.data(), rank), std::span(strides.data(), rank));
}

inline void check_signs(const at::Tensor& x, const std::string& name) {
  if (!x.is_neg()) return;
  throw InvalidArgument(name + " must hold its numbers as they are: its negative bit is set");
}

// The same, in words that begin with the tensor's name.
inline DType check_named(const at::Tensor& x, const std::string& name) {
  DType dtype;
  try {
    dtype = check_memory(x);
  } catch (const InvalidArgument& error) {
    throw InvalidArgument(name + ": " + error.what());
  }
  check_signs(x, name);
  return dtype;
}

inline ConstView readable(const at::Tensor& x, const std::string& name) {
  const DType dtype = check_named(x, name);
  return view_of<ConstView>(x.const_data_ptr(), dtype, x);
}

inline View writable(const at::Tensor& x, const std::string& name) {
  const DType dtype = check_named(x, name);
  if (x.is_inference() && !c10::InferenceMode::is_enabled()) {
    throw InvalidArgument(
        name + ": what was made under torch.inference_mode() can be written there alone");
  }
  return view_of<View>(x.mutable_data_ptr(), dtype, x);
}

// Tells autograd that x was written; inference tensors have no version.
inline void count_write(const at::Tensor& x) {
  if (!x.is_inference()) x.unsafeGetTensorImpl()->bump_version();
}

// Calls the core, and counts what it has written: also where the call was stopped on its way, which
// may have written a part. Before anything is written, it throws InvalidArgument alone.
template <typename Call, typename Count>
auto counted(Call call, Count count) {
  try {
    if constexpr (std::is_void_v<decltype(call())>) {
      call();
      count();
    } else {
      const auto result = call();
      count();
      return result;
    }
  } catch (const InvalidArgument&) {
    throw;
  } catch (...) {
    count();
    throw;
  }
}

}  // namespace taut::torch::detail

namespace taut {

// The view of a tensor for reading, which the tensor must outlive. Throws InvalidArgument for one
// that is not dense, not in the CPU's memory, or of another dtype than the core's four.
inline ConstView view(const at::Tensor& x) {
  const DType dtype = torch::detail::check_memory(x);
  torch::detail::check_signs(x, "x");
  return torch::detail::view_of<ConstView>(x.const_data_ptr(), dtype, x);
}
ConstView view(const at::Tensor&& temporary) = delete;

}  // namespace taut

#endif  // TAUT_TORCH_MEMORY_HPP_
