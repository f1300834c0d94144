// The uses of a batch that share what one of them writes are found, however many there are.

#include <algorithm>
#include <optional>

#include "allocations.hpp"
#include "catch2.hpp"
#include "overlap_cases.hpp"
#include "views/overlap.hpp"

namespace taut_test {
namespace {

struct OwnedUse {
  Array array;
  std::size_t term;
  bool is_written;
};
using Uses = std::vector<OwnedUse>;

std::vector<taut::Use> views_of(const Uses& uses) {
  std::vector<taut::Use> views;
  for (const auto& [array, term, is_written] : uses) {
    views.push_back({array.strided(), term, is_written});
  }
  return views;
}

std::optional<taut::SharedUse> find(const Uses& uses, taut::Effort& effort) {
  return taut::find_overlap(views_of(uses), effort);
}

bool really_clash(const OwnedUse& a, const OwnedUse& b) {
  return a.term != b.term && (a.is_written || b.is_written) && really_overlap(a.array, b.array);
}

bool any_really_clash(const Uses& uses) {
  for (std::size_t i = 0; i < uses.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (really_clash(uses[i], uses[j])) return true;
    }
  }
  return false;
}

// What is found, is; and what is, is found.
bool is_right(const Uses& uses, taut::Effort& effort) {
  const auto found = find(uses, effort);
  return found ? really_clash(uses[found->first], uses[found->second]) : !any_really_clash(uses);
}

std::string text_of(const Uses& uses) {
  std::ostringstream text;
  for (const auto& [array, term, is_written] : uses) {
    text << (is_written ? "writes " : "reads ") << term << ": " << array << "\n";
  }
  return text.str();
}

TEST_CASE("overlaps among uses of all kinds are found") {
  RandomArrays random(1);
  int clashes = 0;
  for (int i = 0; i < 20'000; ++i) {
    Uses uses;
    const std::ptrdiff_t count = random.number(0, 6);
    const std::ptrdiff_t apart = random.number(1, 40);
    const std::ptrdiff_t often = random.number(0, 4);
    for (std::ptrdiff_t j = 0; j < count; ++j) {
      uses.push_back({random.next(), static_cast<std::size_t>(random.number(0, 3)),
                      random.number(0, 4) <= often});
      uses.back().array.begin += j * apart;
    }
    INFO(text_of(uses));
    clashes += any_really_clash(uses);
    CountedEffort effort;
    REQUIRE(is_right(uses, effort));
  }
  CAPTURE(clashes);
  CHECK((clashes > 5000 && clashes < 15'000));
}

// Tiles, rows, columns, every n-th column of one matrix of 12 by 12, whose rows have a gap.
Array part_of_matrix(RandomArrays& random, std::ptrdiff_t plane) {
  const std::ptrdiff_t row = random.number(0, 11);
  const std::ptrdiff_t column = random.number(0, 11);
  const std::ptrdiff_t row_step = random.number(0, 3) == 0 ? 2 : 1;
  const std::ptrdiff_t column_step = random.number(0, 3) == 0 ? random.number(2, 3) : 1;
  const auto rows = static_cast<std::size_t>(random.number(1, (11 - row) / row_step + 1));
  const auto columns = static_cast<std::size_t>(random.number(1, (11 - column) / column_step + 1));
  Array array{plane * 12 * 56 + row * 56 + column * 4 + random.number(0, 9) / 9,
              random.number(0, 3) == 0 ? 2u : 4u,
              {rows, std::min(columns, std::size_t{4})},
              {56 * row_step, 4 * column_step}};
  if (random.number(0, 3) == 0) {
    std::swap(array.extents[0], array.extents[1]);
    std::swap(array.strides[0], array.strides[1]);
  }
  if (random.number(0, 3) == 0) {
    array.extents.push_back(2);
    array.strides.push_back(random.number(0, 2) * 12 * 56);
  }
  return array;
}

TEST_CASE("overlaps among parts of a matrix are found") {
  RandomArrays random(2);
  int clashes = 0;
  for (int i = 0; i < 20'000; ++i) {
    Uses uses;
    const std::ptrdiff_t count = random.number(2, 9);
    for (std::ptrdiff_t j = 0; j < count; ++j) {
      uses.push_back({part_of_matrix(random, random.number(0, 2)), static_cast<std::size_t>(j / 2),
                      random.number(0, 3) == 0});
    }
    INFO(text_of(uses));
    clashes += any_really_clash(uses);
    CountedEffort effort;
    REQUIRE(is_right(uses, effort));
  }
  CHECK((clashes > 5000 && clashes < 15'000));
}

// Each term reads an array and writes one that lies `apart` from it.
Uses with_gradients(const std::vector<Array>& arrays, std::ptrdiff_t apart) {
  Uses uses;
  for (std::size_t term = 0; term < arrays.size(); ++term) {
    uses.push_back({arrays[term], term, false});
    uses.push_back({arrays[term], term, true});
    uses.back().array.begin += apart;
  }
  return uses;
}

std::vector<Array> columns_of(std::size_t rows, std::size_t columns, std::size_t slices,
                              std::ptrdiff_t step = 4) {
  std::vector<Array> arrays;
  for (std::size_t i = 0; i < slices; ++i) {
    const std::size_t first = i * columns / slices;
    const std::size_t count = (i + 1) * columns / slices - first;
    arrays.push_back({static_cast<std::ptrdiff_t>(first) * step,
                      4,
                      {rows, count},
                      {static_cast<std::ptrdiff_t>(columns) * step, step}});
  }
  return arrays;
}

std::vector<Array> tiles_of(std::size_t rows, std::size_t columns, std::size_t side) {
  std::vector<Array> arrays;
  for (std::size_t row = 0; row < rows; row += side) {
    for (std::size_t column = 0; column < columns; column += side) {
      arrays.push_back({static_cast<std::ptrdiff_t>(4 * (row * columns + column)),
                        4,
                        {side, side},
                        {static_cast<std::ptrdiff_t>(4 * columns), 4}});
    }
  }
  return arrays;
}

// A look at each pair would be more, for 16 slices and their gradients already.
constexpr std::size_t kStepsPerUse = 6;

void check_quick(const char* name, Uses uses, std::size_t steps_per_use = kStepsPerUse) {
  INFO(name);
  CountedEffort effort;
  CHECK(!find(uses, effort));
  CHECK(effort.steps <= steps_per_use * uses.size());
  CHECK(effort.bytes <= 1000 * uses.size());
  // One number more that is written, of one that was there.
  Array one = uses[uses.size() / 3].array;
  one.begin += static_cast<std::ptrdiff_t>(one.extents[0] - 1) * one.strides[0];
  one.extents.clear();
  one.strides.clear();
  uses.push_back({one, uses.size(), true});
  CountedEffort other_effort;
  const auto found = find(uses, other_effort);
  REQUIRE(found);
  CHECK(std::max(found->first, found->second) == uses.size() - 1);
  CHECK(std::min(found->first, found->second) == (uses.size() - 1) / 3);
  CHECK(other_effort.steps <= 2 * steps_per_use * uses.size());
}

TEST_CASE("parts of one matrix are told apart in a few steps each") {
  constexpr std::ptrdiff_t kBeyond = std::ptrdiff_t{1} << 30;
  check_quick("16 of 1024 columns", with_gradients(columns_of(1024, 1024, 16), kBeyond));
  check_quick("the same beside the gradient", with_gradients(columns_of(1024, 1024, 16), 4 << 20));
  check_quick("96 of 12288 columns", with_gradients(columns_of(4096, 12288, 96), kBeyond));
  check_quick("300 slices", with_gradients(columns_of(1000, 3000, 300), kBeyond));
  check_quick("3000 columns", with_gradients(columns_of(1000, 3000, 3000), kBeyond));
  check_quick("1000 rows", with_gradients(tiles_of(1000, 1, 1), kBeyond));
  check_quick("tiles", with_gradients(tiles_of(1024, 1024, 32), kBeyond));
  check_quick("gradients between the numbers", with_gradients(columns_of(1000, 3000, 300, 8), 4));

  std::vector<Array> left_half = columns_of(1000, 300, 300);
  for (Array& array : left_half) array.strides[0] *= 2;
  check_quick("gradients to the right", with_gradients(left_half, 1200));

  std::vector<Array> every_16th;
  for (std::ptrdiff_t i = 0; i < 64; ++i) every_16th.push_back({4 * i, 4, {512, 16}, {4096, 256}});
  check_quick("every 64th column", with_gradients(every_16th, kBeyond));

  std::vector<Array> channels;
  for (std::ptrdiff_t i = 0; i < 64; ++i) {
    channels.push_back({36 * i, 4, {128, 3, 3}, {36 * 64, 12, 4}});
  }
  check_quick("channels of kernels", with_gradients(channels, kBeyond));

  // The first one in memory begins in the middle of a row; the longest ones tell where rows begin.
  std::vector<Array> sides{{4 * 30, 4, {34}, {4}}};
  for (std::ptrdiff_t i = 1; i < 1000; ++i) sides.push_back({512 * i, 4, {64}, {4}});
  for (std::ptrdiff_t i = 64; i < 128; ++i) sides.push_back({4 * i, 4, {1000}, {512}});
  check_quick("rows on the left, columns on the right", with_gradients(sides, kBeyond));
}

TEST_CASE("what a few have of their own does not hide what others have in common") {
  std::vector<Array> arrays = columns_of(512, 256, 256);
  for (Array& array : arrays) array.strides[0] = 4096;  // the left quarter of a matrix
  SECTION("diagonals of the right half") {
    for (std::ptrdiff_t i = 0; i < 3; ++i) {
      arrays.push_back({2048 + 4 * i, 4, {500}, {4100}});
    }
  }
  SECTION("rows of the right half, by fours") {
    for (std::ptrdiff_t i = 0; i < 4; ++i) {
      arrays.push_back({2048 + 4096 * i, 4, {100, 7}, {4 * 4096, 8}});
    }
  }
  SECTION("rows of the right half, and so on") {
    for (std::ptrdiff_t i = 0; i < 8; ++i) {
      arrays.push_back({2048 + (4096 << i), 4, {2, 2, 7}, {std::ptrdiff_t{8192} << i, 1024, 8}});
    }
  }
  check_quick("the left quarter", with_gradients(arrays, std::ptrdiff_t{1} << 30), 20);
}

TEST_CASE("uses that have nothing in common are not looked at pair by pair") {
  Uses uses;
  for (std::size_t i = 0; i < 2000; ++i) {
    const auto number = static_cast<std::ptrdiff_t>(i);
    uses.push_back({{8 * number, 4, {2}, {40'000 + 20 * number}}, i, true});
  }
  CountedEffort effort;
  CHECK(!find(uses, effort));
  CHECK(effort.steps < 100 * uses.size());
  uses.push_back({{8 * 1999 + 40'000 + 20 * 1999, 2, {}, {}}, 2000, false});
  const auto found = find(uses, effort);
  REQUIRE(found);
  CHECK(found->first == 1999);
  CHECK(found->second == 2000);
}

// Arrays whose steps neither nest nor divide one another, with so many elements along each axis.
Uses hard_uses(RandomArrays& random, std::size_t extent, std::ptrdiff_t farthest) {
  Uses uses;
  for (std::size_t i = 0; i < 8; ++i) {
    Array array{4 * random.number(0, 1000), 4, {extent, extent, extent}, {}};
    for (int axis = 0; axis < 3; ++axis) {
      array.strides.push_back(4 * random.number(farthest / 2, farthest));
    }
    uses.push_back({array, i, i % 2 == 0});
  }
  return uses;
}

TEST_CASE("overlaps among uses that take marks are found") {
  RandomArrays random(3);
  int clashes = 0;
  int marked = 0;
  constexpr int kCases = 300;
  for (int i = 0; i < kCases; ++i) {
    Uses uses = hard_uses(random, 6, 250'000);
    uses[7].term = 6;
    uses[1].term = 0;
    if (i % 3 == 0) uses.erase(uses.begin() + 1, uses.end() - 2);
    INFO(text_of(uses));
    clashes += any_really_clash(uses);
    CountedEffort effort;
    REQUIRE(is_right(uses, effort));
    marked += effort.bytes > 300'000;
  }
  CHECK((clashes > kCases / 5 && clashes < kCases * 4 / 5));
  CHECK(marked > kCases / 2);
}

TEST_CASE("what takes marks takes them once, and can be stopped") {
  RandomArrays random(7);
  Uses uses = hard_uses(random, 12, 20'000'000);
  REQUIRE(!any_really_clash(uses));
  CountedEffort whole;
  CHECK(!find(uses, whole));
  CHECK(whole.steps > 50'000);
  CHECK(whole.bytes < 500'000);
  for (const std::size_t steps : {std::size_t{1}, std::size_t{1000}, whole.steps - 1}) {
    CountedEffort effort(steps);
    CHECK_THROWS_AS(find(uses, effort), CountedEffort::Stopped);
  }
  // The last element of one lies on another one's, three bytes of it.
  const auto last = [](const Array& array) {
    std::ptrdiff_t place = array.begin;
    for (const std::ptrdiff_t stride : array.strides) place += 11 * stride;
    return place;
  };
  uses[6].array.begin += last(uses[3].array) - last(uses[6].array) - 3;
  CountedEffort effort;
  const auto found = find(uses, effort);
  REQUIRE(found);
  CHECK(std::min(found->first, found->second) == 3);
  CHECK(std::max(found->first, found->second) == 6);
}

TEST_CASE("terms may overlap themselves, and what is read") {
  const Array array{0, 4, {10, 10}, {80, 8}};
  const Array other{8, 4, {10, 10}, {80, 8}};
  CountedEffort effort;
  CHECK(!find({{array, 0, true}, {other, 0, true}, {array, 0, false}}, effort));
  CHECK(!find({{array, 0, false}, {other, 1, false}, {array, 2, false}}, effort));
  const auto found = find({{other, 3, true}, {array, 5, false}, {array, 3, true}}, effort);
  REQUIRE(found);
  CHECK(found->first + found->second == 3);
  CHECK(!find({}, effort));
  const auto first = find({{array, 2, true}, {array, 0, true}, {array, 1, true}}, effort);
  REQUIRE(first);
  CHECK(first->first == 1);
  CHECK(first->second == 2);
}

TEST_CASE("a batch that is done again takes the same memory") {
  class Repeated : public taut::Effort {
   public:
    std::vector<std::vector<std::max_align_t>> blocks;
    std::size_t used = 0;

   private:
    void* take_bytes(std::size_t bytes) override {
      if (used == blocks.size()) blocks.emplace_back();
      std::vector<std::max_align_t>& block = blocks[used++];
      block.resize(std::max(block.size(), bytes / sizeof(std::max_align_t) + 1));
      return block.data();
    }
    void check(std::size_t) override {}
  };
  Uses uses = with_gradients(columns_of(100, 300, 30, 8), 4);
  for (std::ptrdiff_t i = 0; i < 20; ++i)
    uses.push_back({{-400 * (i + 1), 4, {100}, {4}}, 99, true});
  const std::vector<taut::Use> views = views_of(uses);
  Repeated effort;
  CHECK(allocations_when_repeated([&] {
          effort.used = 0;
          CHECK(!taut::find_overlap(views, effort));
        }) == 0);
}

}  // namespace
}  // namespace taut_test
