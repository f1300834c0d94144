// Nothing here is read or written: the arrays lie at made-up addresses.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "cases.hpp"
#include "term.hpp"

namespace taut_test {
namespace {

constexpr std::ptrdiff_t kMost = std::numeric_limits<std::ptrdiff_t>::max();
constexpr std::size_t kFew = 2048;  // elements that are walked over, one by one

struct Described {
  taut::DType dtype;
  std::uintptr_t address;
  Shape shape;
  Shape strides;

  // The elements; nothing where there are more than memory can have.
  std::optional<std::size_t> size() const {
    unsigned __int128 bytes = taut::size_of(dtype);
    for (const std::ptrdiff_t extent : shape) {
      if (extent == 0) return 0;
    }
    for (const std::ptrdiff_t extent : shape) {
      bytes *= static_cast<unsigned __int128>(extent);
      if (bytes > static_cast<unsigned __int128>(kMost)) return std::nullopt;
    }
    return static_cast<std::size_t>(bytes) / taut::size_of(dtype);
  }
  bool has_negative_extent() const {
    return std::any_of(shape.begin(), shape.end(), [](auto extent) { return extent < 0; });
  }
  // How often each place comes.
  std::map<__int128, int> places() const {
    std::map<__int128, int> places;
    if (size() == 0) return places;
    add_places(0, static_cast<__int128>(address), places);
    return places;
  }
  taut::View view() const {
    return {reinterpret_cast<void*>(address), dtype, shape, strides};  // NOLINT: made up
  }
  std::string text(const std::string& name) const {
    return "  const taut::View " + name + "(reinterpret_cast<void*>(" + std::to_string(address) +
           "U), " + text_of(dtype) + ",\n      " + text_of(shape) + ", " + text_of(strides) +
           ");\n";
  }

 private:
  void add_places(std::size_t axis, __int128 place, std::map<__int128, int>& places) const {
    if (axis == shape.size()) {
      ++places[place];
      return;
    }
    for (std::ptrdiff_t i = 0; i < shape[axis]; ++i) {
      add_places(axis + 1, place + static_cast<__int128>(i) * strides[axis], places);
    }
  }
};

Described read_described(Reader& reader, taut::DType dtype) {
  constexpr std::ptrdiff_t kExtents[] = {kMost, -1, std::ptrdiff_t{1} << 61, 1 << 20, kMost / 8};
  constexpr std::ptrdiff_t kStrides[] = {kMost, -kMost, -kMost - 1, std::ptrdiff_t{1} << 62,
                                         1 << 20};
  constexpr std::uintptr_t kSomewhere = std::uintptr_t{1} << 40;
  constexpr std::uintptr_t kAddresses[] = {0, 1, 4096, ~std::uintptr_t{0}, ~std::uintptr_t{0} - 64};
  Described array{dtype, kSomewhere + reader.below(512), {}, {}};
  if (reader.rarely(16)) array.address = reader.pick(kAddresses);
  constexpr std::size_t kRanks[] = {2, 1, 3, 4, 5, 0, 9, 64, 65};
  const std::size_t rank = reader.rarely(8) ? reader.pick(kRanks) : 1 + reader.below(4);
  for (std::size_t axis = 0; axis < rank; ++axis) {
    array.shape.push_back(rank > 8 ? reader.between(0, 2) : reader.between(0, 9));
    array.strides.push_back(reader.between(-64, 64));
    if (reader.rarely(32)) array.shape.back() = reader.pick(kExtents);
    if (reader.rarely(32)) array.strides.back() = reader.pick(kStrides);
  }
  return array;
}

// Whether the constructor of a view throws what it says.
bool check_view(const Described& array) {
  const bool allowed =
      array.shape.size() <= taut::kMaxRank && !array.has_negative_extent() && array.size();
  try {
    array.view();
    require(allowed, "a view that cannot be is refused");
  } catch (const taut::InvalidArgument&) {
    require(!allowed, "a view that can be is made");
  }
  return allowed;
}

std::optional<std::vector<std::uint64_t>> key_of(const Described& array) {
  try {
    return taut::memory_key(reinterpret_cast<const void*>(array.address),  // NOLINT
                            taut::size_of(array.dtype), array.shape, array.strides);
  } catch (const taut::InvalidArgument&) {
    return std::nullopt;
  }
}

std::set<__int128> bytes_of(const Described& array, bool& overlaps_itself) {
  std::set<__int128> bytes;
  for (const auto& [place, times] : array.places()) {
    overlaps_itself |= times > 1;
    for (std::size_t i = 0; i < taut::size_of(array.dtype); ++i) {
      overlaps_itself |= !bytes.insert(place + static_cast<__int128>(i)).second;
    }
  }
  return bytes;
}

// Whether all of its bytes are in memory, with room beside them.
bool is_in_memory(const Described& array) {
  constexpr __int128 kEnd = __int128{1} << 61;
  for (const auto& [place, times] : array.places()) {
    if (place < 0 || place > kEnd) return false;
  }
  return true;
}

}  // namespace

void run_addresses(Reader& reader, const Tell& tell) {
  const taut::DType dtype = read_dtype(reader);
  const Described x = read_described(reader, dtype);
  Described gradient = read_described(reader, dtype);
  if (!reader.rarely(8)) {  // most often of the same shape
    gradient.shape = x.shape;
    gradient.strides.resize(x.shape.size());
    for (std::size_t axis = 0; axis < x.shape.size(); ++axis) {
      if (gradient.strides[axis] == 0 || reader.flag()) gradient.strides[axis] = x.strides[axis];
    }
  }
  tell(x.text("x") + gradient.text("gradient") +
       "  const taut::GradientTerm terms[] = {{taut::L1{}, x, gradient}};\n"
       "  taut::check_accumulate_grad(terms);\n");
  const bool has_x = check_view(x);
  const bool has_gradient = check_view(gradient);
  if (!has_x || !has_gradient) return;
  const std::size_t size = std::max(*x.size(), *gradient.size());
  if (size > kFew) {
    // How long it takes to tell such arrays apart is bounded by their elements alone.
    if (size <= std::size_t{1} << 21) key_of(x);
    return;
  }
  if (!is_in_memory(x) || !is_in_memory(gradient)) {
    key_of(x);
    key_of(gradient);
    try {
      const taut::GradientTerm terms[] = {{taut::L1{}, x.view(), gradient.view()}};
      taut::check_accumulate_grad(terms);
    } catch (const taut::InvalidArgument&) {
    }
    return;
  }
  const auto first = key_of(x);
  const auto second = key_of(gradient);
  require(first && second, "an array in memory has a key");
  require(first->empty() == (*x.size() == 0), "an array has an empty key if it has no elements");
  const bool are_same = x.places() == gradient.places() && *x.size() > 0;
  require((!first->empty() && *first == *second) == are_same,
          "keys are equal for the same elements alone");
  bool overlaps_itself = false;
  bool ignored = false;
  const auto read = bytes_of(x, ignored);
  bool overlap = false;
  for (const __int128 byte : bytes_of(gradient, overlaps_itself)) overlap |= read.count(byte) > 0;
  const bool allowed = x.shape == gradient.shape && !overlaps_itself && !overlap;
  try {
    const taut::GradientTerm terms[] = {{taut::L1{}, x.view(), gradient.view()}};
    taut::check_accumulate_grad(terms);
    require(allowed, "what overlaps is refused");
  } catch (const taut::InvalidTerm&) {
    require(!allowed, "what overlaps nothing is taken");
  }
}

}  // namespace taut_test
