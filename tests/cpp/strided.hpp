// Matrices that lie in memory in many ways.

#ifndef TAUT_TESTS_STRIDED_HPP_
#define TAUT_TESTS_STRIDED_HPP_

#include <cstddef>
#include <cstring>
#include <taut/taut.hpp>
#include <vector>

#include "numbers.hpp"

namespace taut_test {

struct Placement {
  const char* name;
  bool column_major;         // neighbours in memory belong to one column
  std::ptrdiff_t step;       // elements from a neighbour to the next
  std::size_t padding;       // elements between the lines
  bool reversed;             // the lines lie backwards
  std::size_t misalignment;  // bytes
};

constexpr Placement kPlacements[] = {
    {"row-major", false, 1, 0, false, 0},
    {"column-major", true, 1, 0, false, 0},
    {"padded rows", false, 1, 3, false, 0},
    {"padded columns", true, 1, 5, false, 0},
    {"every second element", false, 2, 0, false, 0},
    {"every third element of a column", true, 3, 1, false, 0},
    {"backwards", false, -1, 0, true, 0},
    {"rows backwards", false, 1, 0, true, 0},
    {"columns backwards, every second element", true, -2, 1, false, 0},
    {"not aligned", false, 1, 0, false, 1},
    {"not aligned, columns", true, 2, 1, true, 3},
};

// A matrix in memory of its own.
template <typename T>
class StridedMatrix {
 public:
  StridedMatrix(const std::vector<double>& numbers, std::size_t rows, std::size_t columns,
                const Placement& placement)
      : rows_(rows), columns_(columns) {
    const std::size_t lines = placement.column_major ? columns : rows;
    const std::size_t line = placement.column_major ? rows : columns;
    const auto size = static_cast<std::ptrdiff_t>(sizeof(T));
    const auto distance = static_cast<std::ptrdiff_t>(
        line * static_cast<std::size_t>(std::abs(placement.step)) + placement.padding);
    const std::ptrdiff_t inner = placement.step * size;
    const std::ptrdiff_t outer = (placement.reversed ? -distance : distance) * size;
    row_stride_ = placement.column_major ? inner : outer;
    column_stride_ = placement.column_major ? outer : inner;
    memory_.assign(lines * static_cast<std::size_t>(distance * size) + placement.misalignment,
                   kGap);
    begin_ = static_cast<std::ptrdiff_t>(placement.misalignment);
    if (placement.reversed) begin_ -= static_cast<std::ptrdiff_t>(lines - 1) * outer;
    if (inner < 0) begin_ -= static_cast<std::ptrdiff_t>(line - 1) * inner;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const T number = from_double<T>(numbers[i]);
      std::memcpy(&memory_[place(i)], &number, sizeof(T));
    }
  }

  taut::View view() {
    const std::ptrdiff_t shape[] = {static_cast<std::ptrdiff_t>(rows_),
                                    static_cast<std::ptrdiff_t>(columns_)};
    const std::ptrdiff_t strides[] = {row_stride_, column_stride_};
    return {memory_.data() + begin_, taut::DTypeOf<T>::value, shape, strides};
  }

  // In row-major order.
  std::vector<T> elements() const {
    std::vector<T> elements(rows_ * columns_);
    for (std::size_t i = 0; i < elements.size(); ++i) {
      std::memcpy(&elements[i], &memory_[place(i)], sizeof(T));
    }
    return elements;
  }

  // Whether the bytes between the elements are as they were.
  bool has_clean_gaps() const {
    std::vector<unsigned char> gaps = memory_;
    for (std::size_t i = 0; i < rows_ * columns_; ++i) {
      std::memset(&gaps[place(i)], kGap, sizeof(T));
    }
    return gaps == std::vector<unsigned char>(memory_.size(), kGap);
  }

 private:
  static constexpr unsigned char kGap = 0xA5;

  // The first byte of the i-th element in row-major order.
  std::size_t place(std::size_t i) const {
    return static_cast<std::size_t>(begin_ +
                                    static_cast<std::ptrdiff_t>(i / columns_) * row_stride_ +
                                    static_cast<std::ptrdiff_t>(i % columns_) * column_stride_);
  }

  std::size_t rows_;
  std::size_t columns_;
  std::ptrdiff_t row_stride_;
  std::ptrdiff_t column_stride_;
  std::ptrdiff_t begin_;
  std::vector<unsigned char> memory_;
};

}  // namespace taut_test

#endif  // TAUT_TESTS_STRIDED_HPP_
