#include "block.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>

namespace taut_test {
namespace {

// Calls use(T{}) for the type of a dtype's numbers.
template <typename Use>
auto with_type(taut::DType dtype, Use use) {
  switch (dtype) {
    case taut::DType::kFloat64:
      return use(double{});
    case taut::DType::kFloat32:
      return use(float{});
    case taut::DType::kFloat16:
      return use(Float16{});
    case taut::DType::kBFloat16:
      break;
  }
  return use(BFloat16{});
}

const char* type_of(taut::DType dtype) {
  switch (dtype) {
    case taut::DType::kFloat64:
      return "double";
    case taut::DType::kFloat32:
      return "float";
    case taut::DType::kFloat16:
      return "taut::Float16";
    case taut::DType::kBFloat16:
      break;
  }
  return "taut::BFloat16";
}

enum class Fill { kOrdinary, kSmallIntegers, kSparse, kLarge, kSmall, kSpecial, kNotFinite };
constexpr Fill kFills[] = {Fill::kOrdinary, Fill::kSmallIntegers, Fill::kSparse,   Fill::kLarge,
                           Fill::kSmall,    Fill::kSpecial,       Fill::kNotFinite};

double draw(std::mt19937& generator, Fill fill, const Format& format) {
  const double ordinary = std::ldexp(static_cast<double>(generator()), -31) - 1;
  const auto one_of = [&](std::size_t count) { return generator() % count; };
  switch (fill) {
    case Fill::kOrdinary:
      return ordinary;
    case Fill::kSmallIntegers:
      return static_cast<double>(one_of(5)) - 2;
    case Fill::kSparse:
      return one_of(4) == 0 ? ordinary : 0;
    case Fill::kLarge:
      return std::ldexp(ordinary, static_cast<int>(one_of(40)) + format.max_exponent - 39);
    case Fill::kSmall:
      return std::ldexp(ordinary, format.min_exponent + 8 - static_cast<int>(one_of(20)));
    case Fill::kSpecial:
    case Fill::kNotFinite:
      break;
  }
  const double finite[] = {0.0,  -0.0,  1.0,  -1.0, format.smallest(), -format.smallest(),
                           1e-7, -2e-8, 0.25, 3.0,  format.largest(),  -format.largest()};
  const double infinity = std::numeric_limits<double>::infinity();
  const double not_finite[] = {infinity, -infinity, std::numeric_limits<double>::quiet_NaN()};
  if (fill == Fill::kNotFinite && one_of(16) == 0) return not_finite[one_of(3)];
  return one_of(3) == 0 ? ordinary : finite[one_of(std::size(finite))];
}

}  // namespace

Bytes Block::bytes() const {
  Bytes bytes(size);
  with_type(dtype, [&](auto type) {
    const auto stored = store<decltype(type)>(numbers);
    if (!stored.empty()) std::memcpy(bytes.data(), stored.data(), stored.size() * sizeof(type));
    return 0;
  });
  return bytes;
}

Block read_block(Reader& reader, taut::DType dtype, std::size_t size) {
  const Fill fill = reader.pick(kFills);
  std::mt19937 generator(static_cast<unsigned>(reader.below(256)));
  const Format format = format_of(dtype);
  Block block{dtype, std::vector<double>(size / taut::size_of(dtype)), size};
  for (double& number : block.numbers) number = round_to(format, draw(generator, fill, format));
  return block;
}

Memory::Memory(const std::vector<Block>& blocks) {
  for (const Block& block : blocks) {
    const Bytes bytes = block.bytes();
    blocks_.push_back(std::make_unique<std::byte[]>(bytes.size()));
    sizes_.push_back(bytes.size());
    std::copy(bytes.begin(), bytes.end(), blocks_.back().get());
  }
}

std::vector<Bytes> Memory::contents() const {
  std::vector<Bytes> contents;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    contents.emplace_back(blocks_[i].get(), blocks_[i].get() + sizes_[i]);
  }
  return contents;
}

std::string text_of(double number) {
  if (std::isnan(number)) return "NAN";
  if (std::isinf(number)) return number > 0 ? "INFINITY" : "-INFINITY";
  char text[40];
  std::snprintf(text, sizeof(text), "%a", number);
  return text;
}

std::string text_of(taut::DType dtype) {
  std::string name = taut::name_of(dtype);
  name[0] = 'F';
  return "taut::DType::k" + (dtype == taut::DType::kBFloat16 ? "BFloat16" : name);
}

std::string text_of(const std::vector<std::ptrdiff_t>& numbers) {
  std::string text = "std::vector<std::ptrdiff_t>{";
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(numbers[i]);
  }
  return text + "}";
}

std::string text_of(const Block& block, std::size_t index) {
  const std::string name = std::to_string(index);
  std::string text =
      "  auto numbers_" + name + " = taut_test::store<" + type_of(block.dtype) + ">({";
  for (std::size_t i = 0; i < block.numbers.size(); ++i) {
    text += (i > 0 ? ", " : "") + text_of(block.numbers[i]);
  }
  // What is left of the block's bytes is a part of one more number.
  if (block.numbers.size() * taut::size_of(block.dtype) < block.size) text += ", 0";
  return text + "});\n  auto* const block_" + name + " = reinterpret_cast<std::byte*>(numbers_" +
         name + ".data());\n";
}

double read_number(const std::byte* bytes, taut::DType dtype) {
  return with_type(dtype, [&](auto number) {
    std::memcpy(&number, bytes, sizeof(number));
    return to_double(number);
  });
}

}  // namespace taut_test
