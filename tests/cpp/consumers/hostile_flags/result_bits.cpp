// Prints the bits of some results, also of NaN, Inf, -0 and subnormal numbers, at every level of
// the processor. It computes nothing itself: its own arithmetic is what its compiler's flags make
// of it.

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <taut/taut.hpp>
#include <type_traits>
#include <vector>

namespace {

template <typename T>
using BitsOf = std::conditional_t<sizeof(T) == 8, std::uint64_t,
                                  std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint16_t>>;

// Where the exponent begins in each dtype.
template <typename T>
constexpr int kFraction = sizeof(T) == 8                     ? 52
                          : sizeof(T) == 4                   ? 23
                          : std::is_same_v<T, taut::Float16> ? 10
                                                             : 7;
template <typename T>
constexpr int kBits = 8 * static_cast<int>(sizeof(T));

// The exponent's bits alone.
template <typename T>
constexpr std::uint64_t kInfinity =
    (std::uint64_t{1} << (kBits<T> - 1)) - (std::uint64_t{1} << kFraction<T>);

std::uint64_t next_random() {
  static std::uint64_t state = 1;
  state = state * 6364136223846793005 + 1442695040888963407;
  return (state >> 11) * 0x9e3779b97f4a7c15;
}

template <typename T>
T number_of(std::uint64_t bits) {
  const auto narrow = static_cast<BitsOf<T>>(bits);
  T number;
  std::memcpy(&number, &narrow, sizeof(T));
  return number;
}

// Numbers between 1/2 and 2 of either sign, zeros, and subnormal ones.
template <typename T>
std::vector<T> some_numbers(std::size_t count) {
  constexpr std::uint64_t kFractions = (std::uint64_t{1} << kFraction<T>)-1;
  constexpr std::uint64_t kHalf = (kInfinity<T> >> 1) & ~kFractions;  // near 1
  std::vector<T> numbers(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t random = next_random();
    std::uint64_t bits = kHalf + (random & (2 * kFractions + 1));
    if (random >> 60 == 0) bits = random & kFractions;  // subnormal
    if (random >> 60 == 1) bits = 0;
    const std::uint64_t sign = (random >> 59) & 1;
    numbers[i] = number_of<T>(bits | sign << (kBits<T> - 1));
  }
  return numbers;
}

class Digest {
 public:
  template <typename T>
  void add(T number) {
    BitsOf<T> bits;
    std::memcpy(&bits, &number, sizeof(T));
    const std::uint64_t magnitude = bits & ((std::uint64_t{1} << (kBits<T> - 1)) - 1);
    hash_ = (hash_ ^ (magnitude > kInfinity<T> ? kInfinity<T> + 1 : bits)) * 0x100000001b3;
  }
  std::uint64_t hash() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325;
};

template <typename T>
void print(const char* name, const std::vector<T>& x, std::size_t rows) {
  const std::size_t columns = x.size() / rows;
  const auto view = taut::ConstView::matrix(x, rows, columns);
  const taut::Regularizer regularizers[] = {taut::L1{0.3}, taut::L2{0.07}, taut::L1L2{0.3, 0.07},
                                            taut::OrthogonalRegularizer{}};
  for (const taut::Regularizer& regularizer : regularizers) {
    Digest digest;
    std::vector<T> gradient(x.size());
    const auto gradient_view = taut::View::matrix(gradient, rows, columns);
    digest.add(taut::value_and_grad(regularizer, view, gradient_view, 0.9));
    for (const T slope : gradient) digest.add(slope);
    gradient = x;
    digest.add(taut::accumulate_grad(regularizer, view, gradient_view, -1.1));
    for (const T slope : gradient) digest.add(slope);
    if (regularizer.index() < 3) {
      gradient = x;
      taut::prox(regularizer, gradient_view, 0.1);
      for (const T number : gradient) digest.add(number);
    }
    std::printf("%s %s %zu %016" PRIx64 "\n", taut::level().data(), name, regularizer.index(),
                digest.hash());
  }
}

template <typename T>
void print_all(const char* name) {
  std::vector<T> x = some_numbers<T>(90 * 31);
  print(name, x, 90);
  // A row with NaN, and one with Inf.
  for (const std::uint64_t special : {kInfinity<T> + 1, kInfinity<T>}) {
    x[37] = number_of<T>(special);
    print(name, x, 90);
  }
  // Products below the range.
  const std::uint64_t one = (kInfinity<T> >> 1) & ~((std::uint64_t{1} << kFraction<T>)-1);
  const std::vector<T> small{number_of<T>(1),  number_of<T>(one), T{}, number_of<T>(1), T{},
                             number_of<T>(one)};
  print(name, small, 2);
}

}  // namespace

int main() {
  for (const std::string_view level : taut::available_levels()) {
    taut::set_level(level);
    print_all<double>("float64");
    print_all<float>("float32");
    print_all<taut::Float16>("float16");
    print_all<taut::BFloat16>("bfloat16");
  }
}
