#include "plans/fill.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "plans/cut.hpp"
#include "plans/registry.hpp"

namespace taut {
namespace {

std::uint64_t bits_of(Filling filling, DType dtype) {
  if (filling == Filling::kZero) return 0;
  switch (dtype) {
    case DType::kFloat64:
      return 0x7ff8000000000000;
    case DType::kFloat32:
      return 0x7fc00000;
    case DType::kFloat16:
      return 0x7e00;
    case DType::kBFloat16:
      return 0x7fc0;
  }
  return 0;
}

// Zeros in a gradient that is to be overwritten; else nothing to do.
class ZeroPlan final : public Plan {
 public:
  explicit ZeroPlan(const Problem& problem)
      : layout_(problem.layout),
        cut_(problem.task == Task::kOverwrite ? problem.layout.size : 0),
        dtype_(problem.gradient == nullptr ? DType::kFloat64 : problem.gradient->dtype()) {
    constexpr double kNanoseconds = 0.2;  // per element
    if (cut_.pieces() > 0) needs_ = {1, static_cast<double>(layout_.size) * kNanoseconds, 0, 0};
  }

  Phase phase(std::size_t) const override { return {cut_.pieces(), needs_.nanoseconds}; }
  void run(std::size_t, std::size_t piece, std::byte*) override {
    fill(layout_, 1, dtype_, cut_.begin(piece), cut_.end(piece), Filling::kZero);
  }
  double combine() override { return 0; }

 private:
  const Layout& layout_;
  Cut cut_;
  DType dtype_;
};

}  // namespace

void fill(const Layout& layout, std::size_t array, DType dtype, std::size_t begin, std::size_t end,
          Filling filling) {
  constexpr std::size_t kElements = 256;
  std::array<std::byte, kElements * sizeof(double)> numbers;
  const std::uint64_t bits = bits_of(filling, dtype);  // little-endian, on every level
  for (std::size_t i = 0; i < kElements; ++i) {
    std::memcpy(numbers.data() + i * size_of(dtype), &bits, size_of(dtype));
  }
  for (; begin < end; begin += kElements) {
    scatter(layout, array, begin, std::min(kElements, end - begin), numbers.data());
  }
}

void fill_gradient_with_nan(const Problem& problem, std::size_t piece, std::size_t pieces) {
  const std::size_t size = problem.layout.size;
  const std::size_t elements = divide_up(size, pieces);
  fill(problem.layout, 1, problem.gradient->dtype(), std::min(size, piece * elements),
       std::min(size, (piece + 1) * elements), Filling::kNan);
}

Plan& make_zero_plan(const Problem& problem, const Call& call) {
  return call.arena().make<ZeroPlan>(problem);
}

}  // namespace taut
