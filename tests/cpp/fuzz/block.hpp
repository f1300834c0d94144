// Memory that arrays of a case lie in, with numbers in it.

#ifndef TAUT_TESTS_FUZZ_BLOCK_HPP_
#define TAUT_TESTS_FUZZ_BLOCK_HPP_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "../numbers.hpp"
#include "reader.hpp"

namespace taut_test {

using Bytes = std::vector<std::byte>;

// What a block holds at first: numbers of one dtype, and what is left of its bytes 0.
struct Block {
  taut::DType dtype;
  std::vector<double> numbers;
  std::size_t size;  // bytes

  Bytes bytes() const;
};

// Reads how numbers are to be filled in, and does so.
Block read_block(Reader& reader, taut::DType dtype, std::size_t size);

// The blocks of a case while it runs. Each is an allocation of its own and of its very size, so
// that the address sanitizer sees what leaves it.
class Memory {
 public:
  explicit Memory(const std::vector<Block>& blocks);

  std::byte* at(std::size_t block, std::ptrdiff_t offset) const {
    return blocks_[block].get() + offset;
  }
  std::vector<Bytes> contents() const;

 private:
  std::vector<std::unique_ptr<std::byte[]>> blocks_;
  std::vector<std::size_t> sizes_;
};

// As C++ writes them, exactly.
std::string text_of(double number);
std::string text_of(taut::DType dtype);
std::string text_of(const std::vector<std::ptrdiff_t>& numbers);
// The statements that make block `index`, whose bytes are `block_<index>` then.
std::string text_of(const Block& block, std::size_t index);

// The number whose bytes these are.
double read_number(const std::byte* bytes, taut::DType dtype);

}  // namespace taut_test

#endif  // TAUT_TESTS_FUZZ_BLOCK_HPP_
