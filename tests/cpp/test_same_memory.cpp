// Which arrays are of the very same elements is told exactly, as a count of their places tells it.

#include <algorithm>
#include <numeric>

#include "catch2.hpp"
#include "overlap_cases.hpp"
#include "views/same_memory.hpp"

namespace taut_test {
namespace {

bool is_same(const Array& a, const Array& b) {
  return taut::is_same_memory(a.strided(), b.strided());
}

TEST_CASE("arrays of the same elements are told from others of all kinds") {
  RandomArrays arrays(1);
  // Few begins and strides, so that different arrays often have the same places.
  const auto next = [&] {
    Array array = arrays.next();
    array.begin = 0;
    array.element_size = 2;
    for (std::ptrdiff_t& stride : array.strides) stride = arrays.number(0, 4);
    for (std::size_t axis = 0; axis < array.strides.size(); ++axis) {
      if (arrays.number(0, 3) > 0) continue;
      array.begin += static_cast<std::ptrdiff_t>(array.extents[axis] - 1) * array.strides[axis];
      array.strides[axis] *= -1;
    }
    return array;
  };
  int same = 0;
  for (int i = 0; i < 100'000; ++i) {
    const Array a = next();
    const Array b = next();
    INFO(a << "; " << b);
    const bool expected = are_really_same(a, b);
    same += expected;
    REQUIRE(is_same(a, b) == expected);
    const auto key = taut::key_of_memory(a.strided());
    REQUIRE((!key.empty() && key == taut::key_of_memory(b.strided())) == expected);
  }
  CHECK(same > 1000);
}

TEST_CASE("what lies in other orders and shapes is the same memory") {
  const Array matrix{0, 4, {6, 10}, {40, 4}};
  CHECK(is_same(matrix, matrix));
  CHECK(is_same(matrix, {0, 4, {10, 6}, {4, 40}}));         // transposed
  CHECK(is_same(matrix, {59 * 4, 4, {6, 10}, {-40, -4}}));  // backwards
  CHECK(is_same(matrix, {0, 4, {60}, {4}}));                // flat
  CHECK(is_same(matrix, {0, 4, {3, 1, 2, 5, 2}, {80, 9, 40, 8, 4}}));
  const Array padded{0, 4, {6, 9}, {40, 4}};
  CHECK(is_same(padded, {36 + 4 * 40 - 4, 4, {9, 3, 2}, {-4, -80, 40}}));
  CHECK(is_same({0, 4, {6, 3}, {4, 4}}, {0, 4, {2, 3, 3}, {4, 4, 8}}));  // windows that slide
  const Array several{0, 4, {3, 10}, {0, 4}};
  CHECK(is_same(several, {0, 4, {10, 3}, {4, 0}}));
}

TEST_CASE("memory that is shared in part, or has elements more often, is not the same") {
  const Array matrix{0, 4, {4}, {4}};
  CHECK(!is_same(matrix, {0, 4, {3}, {4}}));
  CHECK(!is_same(matrix, {4, 4, {4}, {4}}));
  CHECK(!is_same(matrix, {0, 2, {8}, {2}}));  // as another dtype
  CHECK(!is_same({0, 4, {4}, {8}}, {0, 2, {4}, {8}}));
  CHECK(!is_same(matrix, {0, 4, {2, 4}, {0, 4}}));   // each number twice
  CHECK(!is_same(matrix, {0, 4, {2, 2}, {12, 0}}));  // the first and the last one twice
  CHECK(!is_same({0, 4, {5, 2}, {4, 0}}, {0, 4, {2, 5}, {4, 0}}));
  CHECK(!is_same({0, 4, {2, 2}, {16, 4}}, {0, 4, {2, 2}, {12, 8}}));
  const Array none{0, 4, {3, 0}, {4, 4}};
  CHECK(!is_same(none, none));
  const Array nothing{0, 0, {3}, {4}};  // elements of no bytes
  CHECK(!is_same(nothing, nothing));
  constexpr std::size_t kMany = std::size_t{1} << 62;
  CHECK(is_same({0, 4, {kMany, 2}, {0, 4}}, {0, 4, {2, kMany / 2, 2}, {4, 0, 0}}));
  const Array too_many{0, 4, {kMany, kMany}, {0, 0}};
  CHECK(!is_same(too_many, too_many));
}

std::vector<std::size_t> first_readings(const std::vector<Array>& arrays,
                                        const std::vector<int>& kinds, taut::Effort& effort) {
  std::vector<taut::Reading> readings;
  for (std::size_t i = 0; i < arrays.size(); ++i)
    readings.push_back({arrays[i].strided(), kinds[i]});
  const auto firsts = taut::find_first_readings(readings, effort);
  return {firsts.begin(), firsts.end()};
}

TEST_CASE("each array of many is told where its memory was first") {
  RandomArrays random(2);
  int again = 0;
  for (int i = 0; i < 2000; ++i) {
    std::vector<Array> arrays;
    std::vector<int> kinds;
    const auto count = static_cast<std::size_t>(random.number(0, 30));
    while (arrays.size() < count) {
      Array array = random.next();
      if (random.number(0, 1) == 0) array = {0, 2, {2, 2, 3}, {6, 2, random.number(0, 2)}};
      if (random.number(0, 2) == 0) array = {0, 2, {12}, {2}};
      if (random.number(0, 5) == 0) array = {0, 2, {}, {}};
      arrays.push_back(array);
      kinds.push_back(static_cast<int>(random.number(0, 1)));
    }
    std::vector<std::size_t> expected(count);
    for (std::size_t j = 0; j < count; ++j) {
      expected[j] = 0;
      while (expected[j] < j &&
             !(kinds[expected[j]] == kinds[j] && are_really_same(arrays[expected[j]], arrays[j]))) {
        ++expected[j];
      }
      again += expected[j] != j;
    }
    CountedEffort effort;
    REQUIRE(first_readings(arrays, kinds, effort) == expected);
  }
  CHECK(again > 1000);
}

TEST_CASE("no array without elements was there before") {
  const Array none{0, 4, {3, 0}, {4, 4}};
  CountedEffort effort;
  CHECK(first_readings({none, none, none}, {0, 0, 0}, effort) == std::vector<std::size_t>{0, 1, 2});
}

TEST_CASE("many arrays of one range take no longer than others") {
  constexpr std::size_t kCount = 20'000;
  std::vector<Array> arrays;
  for (std::size_t i = 0; i < kCount; ++i) {
    // Different ones with the same first and last byte, in pairs.
    const auto apart = static_cast<std::ptrdiff_t>(4 * (1 + i / 2));
    arrays.push_back({0, 4, {2, 2}, {apart, 4 * 400'000 - apart}});
  }
  std::vector<std::size_t> expected(kCount);
  for (std::size_t i = 0; i < kCount; ++i) expected[i] = i / 2 * 2;
  CountedEffort effort;
  CHECK(first_readings(arrays, std::vector<int>(kCount), effort) == expected);
  CHECK(effort.steps <= 2 * kCount);
}

}  // namespace
}  // namespace taut_test
