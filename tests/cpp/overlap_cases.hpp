// Strided arrays at made-up addresses, which nothing reads, and what a count of all their bytes
// says about them.

#ifndef TAUT_TESTS_OVERLAP_CASES_HPP_
#define TAUT_TESTS_OVERLAP_CASES_HPP_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <ostream>
#include <random>
#include <vector>

#include "views/effort.hpp"
#include "views/strided.hpp"

namespace taut_test {

constexpr std::ptrdiff_t kSomewhere = std::ptrdiff_t{1} << 40;

struct Array {
  std::ptrdiff_t begin;  // from kSomewhere
  std::size_t element_size;
  std::vector<std::size_t> extents;
  std::vector<std::ptrdiff_t> strides;  // bytes

  taut::Strided strided() const {
    return {reinterpret_cast<const std::byte*>(kSomewhere + begin), element_size, extents, strides};
  }

  // Calls visit(place) for each element, in C order.
  template <typename Visit>
  void for_each(Visit visit, std::size_t axis = 0, std::ptrdiff_t place = 0) const {
    if (axis == extents.size()) return visit(begin + place);
    for (std::size_t i = 0; i < extents[axis]; ++i) {
      for_each(visit, axis + 1, place + static_cast<std::ptrdiff_t>(i) * strides[axis]);
    }
  }

  // How often each byte, or each place of an element, comes.
  std::map<std::ptrdiff_t, int> bytes() const {
    std::map<std::ptrdiff_t, int> bytes;
    for_each([&](std::ptrdiff_t place) {
      for (std::size_t i = 0; i < element_size; ++i) {
        ++bytes[place + static_cast<std::ptrdiff_t>(i)];
      }
    });
    return bytes;
  }
  std::map<std::ptrdiff_t, int> places() const {
    std::map<std::ptrdiff_t, int> places;
    for_each([&](std::ptrdiff_t place) { ++places[place]; });
    return places;
  }
};

inline bool really_overlaps_itself(const Array& array) {
  for (const auto& [byte, times] : array.bytes()) {
    if (times > 1) return true;
  }
  return false;
}

inline bool really_overlap(const Array& a, const Array& b) {
  const auto bytes = a.bytes();
  for (const auto& [byte, times] : b.bytes()) {
    if (bytes.count(byte) > 0) return true;
  }
  return false;
}

inline bool are_really_same(const Array& a, const Array& b) {
  return a.element_size == b.element_size && !a.places().empty() && a.places() == b.places();
}

inline std::ostream& operator<<(std::ostream& out, const Array& array) {
  out << "begin " << array.begin << ", size " << array.element_size << ":";
  for (std::size_t axis = 0; axis < array.extents.size(); ++axis) {
    out << " " << array.extents[axis] << " by " << array.strides[axis];
  }
  return out;
}

// Arrays of all kinds within some hundred bytes.
class RandomArrays {
 public:
  explicit RandomArrays(unsigned seed) : generator_(seed) {}

  std::ptrdiff_t number(std::ptrdiff_t least, std::ptrdiff_t most) {
    return std::uniform_int_distribution<std::ptrdiff_t>(least, most)(generator_);
  }

  Array next() {
    Array array{number(-20, 20), std::size_t{1} << number(1, 3), {}, {}};
    // In bytes, or in elements; near one another, or apart.
    const std::ptrdiff_t unit =
        number(0, 2) == 0 ? 1 : static_cast<std::ptrdiff_t>(array.element_size);
    const std::ptrdiff_t farthest = number(0, 1) == 0 ? 4 : 24;
    const std::ptrdiff_t rank = number(0, 4);
    for (std::ptrdiff_t axis = 0; axis < rank; ++axis) {
      array.extents.push_back(
          static_cast<std::size_t>(number(0, 60) == 0 ? 0 : number(1, rank > 2 ? 3 : 6)));
      array.strides.push_back(unit * number(-farthest, farthest));
    }
    return array;
  }

 private:
  std::mt19937 generator_;
};

// Counts what a decision takes.
class CountedEffort : public taut::Effort {
 public:
  explicit CountedEffort(std::size_t most_steps = SIZE_MAX)
      : taut::Effort(1), most_steps_(most_steps) {}

  struct Stopped {};
  std::size_t steps = 0;
  std::size_t bytes = 0;
  std::size_t longest = 0;  // steps between two checks

 private:
  void* take_bytes(std::size_t size) override {
    bytes += size;
    memory_.push_back(std::make_unique<std::max_align_t[]>(size / sizeof(std::max_align_t) + 1));
    return memory_.back().get();
  }
  void check(std::size_t spent) override {
    steps += spent;
    longest = std::max(longest, spent);
    if (steps >= most_steps_) throw Stopped();
  }

  std::size_t most_steps_;
  std::vector<std::unique_ptr<std::max_align_t[]>> memory_;
};

}  // namespace taut_test

#endif  // TAUT_TESTS_OVERLAP_CASES_HPP_
