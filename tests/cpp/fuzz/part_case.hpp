// What cases of a part of a matrix's vectors have in common.

#ifndef TAUT_TESTS_FUZZ_PART_CASE_HPP_
#define TAUT_TESTS_FUZZ_PART_CASE_HPP_

#include <string>
#include <taut/taut.hpp>
#include <vector>

#include "array.hpp"
#include "setting.hpp"

namespace taut_test {

struct PartCase {
  std::vector<Block> blocks;
  taut::OrthogonalRegularizer regularizer;
  Array x;
  Array gradient;  // of the range
  taut::VectorRange range;
  Setting setting;
};

// Reads all but the gradient and the range, and returns the dtype.
taut::DType read_matrix(Reader& reader, PartCase& read);
taut::VectorRange read_allowed_range(Reader& reader, std::size_t vectors);

std::string statements_of_arrays(const PartCase& of);
std::string text_of(taut::VectorRange range);

bool is_allowed(const taut::OrthogonalRegularizer& regularizer, const Array& x);
std::size_t vectors_of(const Array& x, taut::Mode mode);
Shape shape_of_slice(const Array& x, taut::Mode mode, std::size_t vectors);

}  // namespace taut_test

#endif  // TAUT_TESTS_FUZZ_PART_CASE_HPP_
