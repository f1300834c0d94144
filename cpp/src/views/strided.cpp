#include "views/strided.hpp"

#include <cstdint>
#include <limits>

#include "taut/error.hpp"

namespace taut {
namespace {

// Sums of the reaches of two arrays, and twice that of one, are then numbers of 64 bits with a
// sign.
constexpr std::uint64_t kFarthest = (std::uint64_t{1} << 62) - 1;

[[noreturn]] void refuse() {
  throw InvalidArgument("An array reaches beyond the memory that there can be");
}

}  // namespace

ByteRange range_of(const Strided& array) {
  if (array.is_empty()) return {array.origin, array.origin};
  std::uint64_t before = 0;
  std::uint64_t after = array.element_size;
  for (std::size_t axis = 0; axis < array.extents.size(); ++axis) {
    const std::ptrdiff_t stride = array.strides[axis];
    if (array.extents[axis] == 1 || stride == 0) continue;
    const auto bits = static_cast<std::uint64_t>(stride);
    std::uint64_t reach;
    if (__builtin_mul_overflow(stride < 0 ? 0 - bits : bits, array.extents[axis] - 1, &reach) ||
        reach > kFarthest) {
      refuse();
    }
    (stride < 0 ? before : after) += reach;
    if (before + after > kFarthest) refuse();
  }
  const auto origin = reinterpret_cast<std::uintptr_t>(array.origin);
  if (before > origin || after > std::numeric_limits<std::uintptr_t>::max() - origin) refuse();
  return {reinterpret_cast<const std::byte*>(origin - before),
          reinterpret_cast<const std::byte*>(origin + after)};
}

}  // namespace taut
