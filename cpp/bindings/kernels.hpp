// The core's kernels as Python knows them, and calls of them.

#ifndef TAUT_BINDINGS_KERNELS_HPP_
#define TAUT_BINDINGS_KERNELS_HPP_

#include <pybind11/pybind11.h>

#include <cstddef>
#include <limits>
#include <string_view>

#include "gil.hpp"
#include "taut/taut.hpp"

namespace taut::bindings {

// A kernel's factors come in a tuple, so that every kernel has the same functions.
struct Kernel {
  std::string_view name;
  Regularizer (*regularizer_of)(const pybind11::tuple& factors);
  std::size_t work;  // per element: in a matrix, each meets those of many other vectors
};

Regularizer elementwise_of(const pybind11::tuple& factors);           // (l1, l2)
OrthogonalRegularizer orthogonal_of(const pybind11::tuple& factors);  // (factor, mode, flatten)
Regularizer gram_of(const pybind11::tuple& factors);                  // likewise
// (factor, mode, diagonal, flatten)
Regularizer soft_orthogonal_of(const pybind11::tuple& factors);
Regularizer group_lasso_of(const pybind11::tuple& factors);  // (factor, mode)

inline constexpr Kernel kElementwise{"elementwise", elementwise_of, 1};
inline constexpr Kernel kGram{"gram", gram_of, 64};
inline constexpr Kernel kSoftOrthogonal{"soft_orthogonal", soft_orthogonal_of, 64};
inline constexpr Kernel kGroupLasso{"group_lasso", group_lasso_of, 1};

// Throws InvalidArgument if there is none.
const Kernel& kernel_named(std::string_view name);

// What is told with an interrupt of a call that writes in place: all else that fails has written
// nothing.
inline constexpr char kAddedInPart[] =
    "taut was interrupted: some of this call's gradients, or parts of them, may have been added to";
inline constexpr char kSteppedInPart[] =
    "taut was interrupted: some of this call's arrays, or parts of them, may have been stepped";

// How much there is to do: the more elements, the more, however many they are. Broadcast arrays
// have more than memory has bytes.
class Work {
 public:
  void add(std::size_t elements, std::size_t each = 1) {
    if (__builtin_mul_overflow(elements, each, &elements) ||
        __builtin_add_overflow(total_, elements, &total_)) {
      total_ = std::numeric_limits<std::size_t>::max();
    }
  }
  std::size_t total() const { return total_; }

 private:
  std::size_t total_ = 0;
};

inline Work work_of(const Kernel& kernel, const ConstView& x) {
  Work work;
  work.add(x.size(), kernel.work);
  return work;
}

// Calls the core, without the GIL unless there is so little work that the call is over before
// another thread could use it. `note` goes with an interrupt.
template <typename Call>
auto call_core(const Work& work, Call&& call, const char* note = nullptr) {
  constexpr std::size_t kWorthReleasing = 16384;
  return work.total() < kWorthReleasing ? call() : without_gil(call, note);
}

}  // namespace taut::bindings

#endif  // TAUT_BINDINGS_KERNELS_HPP_
