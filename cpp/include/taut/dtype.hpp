// The number formats that a weight or a gradient can be stored in.

#ifndef TAUT_DTYPE_HPP_
#define TAUT_DTYPE_HPP_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "taut/language.hpp"

namespace taut {

// Storage for one IEEE 754 binary16 number, by its bits.
struct Float16 {
  std::uint16_t bits;
};

// Storage for one bfloat16 number (the upper half of a binary32), by its bits.
struct BFloat16 {
  std::uint16_t bits;
};

enum class DType : unsigned char { kFloat64, kFloat32, kFloat16, kBFloat16 };

constexpr std::size_t kDTypes = 4;

// Bytes per element.
constexpr std::size_t size_of(DType dtype) {
  return dtype == DType::kFloat64 ? 8 : dtype == DType::kFloat32 ? 4 : 2;
}

constexpr const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
      return "float64";
    case DType::kFloat32:
      return "float32";
    case DType::kFloat16:
      return "float16";
    case DType::kBFloat16:
      return "bfloat16";
  }
  return "unknown";
}

// The format of a C++ type. Specialize it for your own type of half precision, if that is stored as
// Float16 or BFloat16 are, and views can be made of it (as taut/eigen.hpp does for Eigen's).
template <typename T>
struct DTypeOf;
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::kFloat64;
};
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kFloat32;
};
template <>
struct DTypeOf<Float16> {
  static constexpr DType value = DType::kFloat16;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType value = DType::kBFloat16;
};

// What a weight or a gradient may be stored as; const where it is only read.
template <typename T>
concept Element = requires { DTypeOf<std::remove_const_t<T>>::value; };

}  // namespace taut

#endif  // TAUT_DTYPE_HPP_
