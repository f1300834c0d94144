// From the bytes of an input to choices. Where bytes run out, every choice is the first one, so
// that a shorter input is a simpler case.

#ifndef TAUT_TESTS_FUZZ_READER_HPP_
#define TAUT_TESTS_FUZZ_READER_HPP_

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>

namespace taut_test {

class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  // 0 to count - 1.
  std::size_t below(std::size_t count) {
    std::size_t number = 0;
    for (std::size_t most = 1; most < count && most != 0; most <<= 8) number = number << 8 | byte();
    return count == 0 ? 0 : number % count;
  }
  // first to last.
  std::ptrdiff_t between(std::ptrdiff_t first, std::ptrdiff_t last) {
    return first + static_cast<std::ptrdiff_t>(below(static_cast<std::size_t>(last - first) + 1));
  }
  // Once in so many times; not where bytes have run out.
  bool rarely(std::size_t times) { return below(times) == times - 1; }
  bool flag() { return rarely(2); }
  std::uint64_t bits() {
    std::uint64_t bits = 0;
    for (int i = 0; i < 8; ++i) bits = bits << 8 | byte();
    return bits;
  }
  template <typename Choices>
  auto pick(const Choices& choices) {
    return choices[below(std::size(choices))];
  }

 private:
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t first = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return first;
  }

  std::span<const std::uint8_t> bytes_;
};

}  // namespace taut_test

#endif  // TAUT_TESTS_FUZZ_READER_HPP_
