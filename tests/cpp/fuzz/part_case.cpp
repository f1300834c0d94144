#include "part_case.hpp"

#include <cmath>

#include "term.hpp"

namespace taut_test {
namespace {

taut::OrthogonalRegularizer read_orthogonal(Reader& reader) {
  const double factor = read_factor(reader);
  const taut::Mode mode = reader.flag() ? taut::Mode::kColumns : taut::Mode::kRows;
  return {factor, mode, reader.rarely(3)};
}

}  // namespace

taut::DType read_matrix(Reader& reader, PartCase& read) {
  read.setting = read_setting(reader);
  read.regularizer = read_orthogonal(reader);
  const taut::DType dtype = read_dtype(reader);
  read.x = read_array(reader, dtype, read_shape(reader, false), read.blocks);
  return dtype;
}

taut::VectorRange read_allowed_range(Reader& reader, std::size_t vectors) {
  const std::size_t begin = reader.below(vectors + 1);
  return {begin, vectors - reader.below(vectors - begin + 1)};
}

std::string statements_of_arrays(const PartCase& of) {
  std::string text;
  for (std::size_t i = 0; i < of.blocks.size(); ++i) text += text_of(of.blocks[i], i);
  return text + of.x.text("x") + of.gradient.text("gradient") + of.setting.text();
}

std::string text_of(taut::VectorRange range) {
  return "taut::VectorRange{" + std::to_string(range.begin) + "U, " + std::to_string(range.end) +
         "U}";
}

bool is_allowed(const taut::OrthogonalRegularizer& regularizer, const Array& x) {
  const std::size_t rank = x.shape.size();
  return std::isfinite(regularizer.factor) && regularizer.factor >= 0 &&
         (rank == 2 || (regularizer.flatten && rank > 2));
}

std::size_t vectors_of(const Array& x, taut::Mode mode) {
  if (x.shape.empty()) return 0;
  return static_cast<std::size_t>(mode == taut::Mode::kRows ? x.shape.front() : x.shape.back());
}

Shape shape_of_slice(const Array& x, taut::Mode mode, std::size_t vectors) {
  Shape shape = x.shape;
  if (shape.empty()) return shape;
  (mode == taut::Mode::kRows ? shape.front() : shape.back()) = static_cast<std::ptrdiff_t>(vectors);
  return shape;
}

}  // namespace taut_test
