#include "views/check.hpp"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>

#include "run/float_environment.hpp"

namespace taut {
namespace {

// As Python writes it, whatever the locale: the shortest text that is read back as the number.
std::string text_of(double number) {
  if (std::isnan(number)) return "nan";
  const double magnitude = std::abs(number);
  const bool is_fixed = magnitude == 0 || (magnitude >= 1e-4 && magnitude < 1e16);
  std::array<char, 32> text;
  const auto [end, error] =
      std::to_chars(text.data(), text.data() + text.size(), number,
                    is_fixed ? std::chars_format::fixed : std::chars_format::scientific);
  std::string written(text.data(), end);
  if (is_fixed && written.find('.') == std::string::npos) written += ".0";
  return written;
}

}  // namespace

void check_factor(const char* name, double factor) {
  // By its bits: even a comparison sets a status bit, of a subnormal number.
  constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  constexpr auto kInfinity = std::bit_cast<std::uint64_t>(std::numeric_limits<double>::infinity());
  const auto bits = std::bit_cast<std::uint64_t>(factor);
  if (bits < kInfinity || bits == kSign) return;
  throw InvalidArgument(
      std::string("Invalid value for argument `") + name +
      "`: expected a non-negative float. Received: " + name + "=" +
      call_isolated([&](const DefaultFloatEnvironment&) { return text_of(factor); }));
}

std::string shape_of(const ConstView& view) {
  std::string shape = "(";
  for (std::size_t axis = 0; axis < view.rank(); ++axis) {
    if (axis > 0) shape += ", ";
    shape += std::to_string(view.extent(axis));
  }
  return shape + (view.rank() == 1 ? ",)" : ")");
}

void check_step(double step) { check_factor("step", step); }

void check_product(double step, double factor, double times) {
  const bool is_in_range = call_isolated(
      [&](const DefaultFloatEnvironment&) { return std::isfinite(times * (step * factor)); });
  if (!is_in_range) {
    throw InvalidArgument("step times a factor is beyond the range of float64");
  }
}

void check_side(const char* name, const ConstView& x, const ConstView& side) {
  const std::string which = std::string("The ") + name;
  if (!has_same_shape(x, side)) {
    throw InvalidArgument(which + " must have the shape of the input. Received: shapes " +
                          shape_of(side) + " and " + shape_of(x));
  }
  if (side.dtype() != x.dtype() && side.dtype() != DType::kFloat32) {
    throw InvalidArgument(which + " must have the dtype of the input, or float32. Received: " +
                          name_of(side.dtype()) + " and " + name_of(x.dtype()));
  }
}

void check_gradient(const ConstView& x, const View& gradient) {
  if (!has_same_shape(x, gradient)) {
    throw InvalidArgument("The gradient must have the shape of the input. Received: shapes " +
                          shape_of(gradient) + " and " + shape_of(x));
  }
  const bool wider = size_of(x.dtype()) == 2 && gradient.dtype() == DType::kFloat32;
  if (x.dtype() != gradient.dtype() && !wider) {
    throw InvalidArgument(std::string("The gradient must have the dtype of the input, or float32 "
                                      "where that is a half type. Received: ") +
                          name_of(gradient.dtype()) + " and " + name_of(x.dtype()));
  }
}

}  // namespace taut
