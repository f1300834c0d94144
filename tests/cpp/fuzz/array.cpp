#include "array.hpp"

#include <algorithm>

namespace taut_test {
namespace {

constexpr std::ptrdiff_t kLargestBlock = std::ptrdiff_t{1} << 16;

void add_places(const Array& array, std::size_t axis, std::ptrdiff_t offset,
                std::vector<Place>& places) {
  if (axis == array.shape.size()) {
    places.emplace_back(array.block, offset);
    return;
  }
  for (std::ptrdiff_t i = 0; i < array.shape[axis]; ++i) {
    add_places(array, axis + 1, offset + i * array.strides[axis], places);
  }
}

enum class Order { kRowMajor, kColumnMajor, kAny };
constexpr Order kOrders[] = {Order::kRowMajor, Order::kColumnMajor, Order::kAny};

// From the innermost axis outwards.
std::vector<std::size_t> read_order(Reader& reader, std::size_t rank) {
  std::vector<std::size_t> order(rank);
  const Order kind = reader.pick(kOrders);
  for (std::size_t i = 0; i < rank; ++i) order[i] = kind == Order::kColumnMajor ? i : rank - 1 - i;
  for (std::size_t i = rank; kind == Order::kAny && i > 1; --i) {
    std::swap(order[i - 1], order[reader.below(i)]);
  }
  return order;
}

Shape read_strides(Reader& reader, taut::DType dtype, const Shape& shape) {
  const auto size = static_cast<std::ptrdiff_t>(taut::size_of(dtype));
  Shape strides(shape.size());
  const bool has_gaps = reader.flag();
  std::ptrdiff_t next = size;
  for (const std::size_t axis : read_order(reader, shape.size())) {
    if (has_gaps) next += reader.between(0, 3) * (reader.rarely(4) ? 1 : size);
    strides[axis] = next;
    next *= std::max<std::ptrdiff_t>(shape[axis], 1);
  }
  for (std::ptrdiff_t& stride : strides) {
    if (reader.rarely(4)) stride = -stride;
    if (reader.rarely(16)) stride = 0;
    if (reader.rarely(16)) stride = reader.between(-40, 40) * (reader.flag() ? 1 : size);
  }
  return strides;
}

}  // namespace

std::size_t Array::size() const {
  std::size_t size = 1;
  for (const std::ptrdiff_t extent : shape) size *= static_cast<std::size_t>(extent);
  return size;
}

std::vector<Place> Array::places() const {
  std::vector<Place> places;
  add_places(*this, 0, offset, places);
  return places;
}

std::vector<Place> Array::bytes() const {
  std::vector<Place> bytes;
  for (const auto& [number, place] : places()) {
    for (std::size_t i = 0; i < taut::size_of(dtype); ++i) {
      bytes.emplace_back(number, place + static_cast<std::ptrdiff_t>(i));
    }
  }
  std::sort(bytes.begin(), bytes.end());
  return bytes;
}

std::vector<double> Array::numbers(const std::vector<Bytes>& contents) const {
  std::vector<double> numbers;
  for (const auto& [number, place] : places()) {
    numbers.push_back(read_number(contents[number].data() + place, dtype));
  }
  return numbers;
}

std::string Array::text(const std::string& name) const {
  return "  const taut::View " + name + "(block_" + std::to_string(block) + " + " +
         std::to_string(offset) + ", " + text_of(dtype) + ",\n      " + text_of(shape) + ", " +
         text_of(strides) + ");\n";
}

bool overlaps_itself(const Array& array) {
  const std::vector<Place> bytes = array.bytes();
  return std::adjacent_find(bytes.begin(), bytes.end()) != bytes.end();
}

bool overlap(const Array& a, const Array& b) {
  if (a.block != b.block) return false;
  const std::vector<Place> first = a.bytes();
  const std::vector<Place> second = b.bytes();
  std::vector<Place> common;
  std::set_intersection(first.begin(), first.end(), second.begin(), second.end(),
                        std::back_inserter(common));
  return !common.empty();
}

bool are_same_memory(const Array& a, const Array& b) {
  std::vector<Place> first = a.places();
  std::vector<Place> second = b.places();
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  return a.dtype == b.dtype && !first.empty() && first == second;
}

Shape read_shape(Reader& reader, bool may_be_large) {
  if (may_be_large && reader.rarely(64)) {
    return {reader.between(1, 300), reader.between(1, 150)};
  }
  constexpr std::size_t kRanks[] = {2, 2, 2, 1, 0, 3, 4, 9};
  constexpr std::ptrdiff_t kMost[] = {1, 600, 50, 9, 5, 1, 1, 1, 1, 2};
  constexpr std::size_t kManyVectors = 240;  // more than the lowest strip of the Gram matrix has
  const std::size_t choice = reader.below(256);
  if (choice == kManyVectors) return {reader.between(1, 300), reader.between(1, 50)};
  const std::size_t rank = kRanks[choice % std::size(kRanks)];
  Shape shape;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    // The first choice is an extent of 3: none, and one, are special cases.
    const std::ptrdiff_t extent = reader.between(0, kMost[rank]);
    shape.push_back(kMost[rank] < 3 ? extent : (extent + 3) % (kMost[rank] + 1));
  }
  return shape;
}

taut::DType read_dtype(Reader& reader) {
  constexpr taut::DType kDtypes[] = {taut::DType::kFloat32, taut::DType::kFloat64,
                                     taut::DType::kFloat16, taut::DType::kBFloat16};
  return reader.pick(kDtypes);
}

Array read_array(Reader& reader, taut::DType dtype, const Shape& shape,
                 std::vector<Block>& blocks) {
  const auto element = static_cast<std::ptrdiff_t>(taut::size_of(dtype));
  Array array{dtype, shape, read_strides(reader, dtype, shape), 0, 0};
  std::ptrdiff_t before = 0;
  std::ptrdiff_t after = element;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const std::ptrdiff_t reach = (shape[axis] - 1) * array.strides[axis];
    (reach < 0 ? before : after) += std::abs(reach);
  }
  if (array.size() == 0) before = after = 0;
  const std::ptrdiff_t range = before + after;
  if (!blocks.empty() && reader.rarely(3)) {
    const std::size_t block = reader.below(blocks.size());
    const auto room = static_cast<std::ptrdiff_t>(blocks[block].size) - range;
    if (room >= 0) {
      const std::ptrdiff_t step = reader.rarely(4) ? 1 : element;
      array.block = block;
      array.offset = before + step * reader.between(0, std::min(room / step, kLargestBlock));
      return array;
    }
  }
  const std::ptrdiff_t misalignment = reader.rarely(4) ? reader.between(1, 7) : 0;
  array.block = blocks.size();
  array.offset = before + misalignment;
  blocks.push_back(read_block(reader, dtype, static_cast<std::size_t>(range + misalignment)));
  return array;
}

}  // namespace taut_test
