// Whether arrays share memory is told exactly, as a count of their bytes tells it, and soon.

#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include "allocations.hpp"
#include "catch2.hpp"
#include "overlap_cases.hpp"
#include "taut/error.hpp"
#include "taut/view.hpp"
#include "views/cover.hpp"
#include "views/marks.hpp"
#include "views/overlap.hpp"
#include "views/runs.hpp"

namespace taut_test {
namespace {

TEST_CASE("overlaps are told for arrays of all kinds") {
  RandomArrays arrays(1);
  CountedEffort effort;
  int met = 0;
  int met_themselves = 0;
  constexpr int kCases = 40'000;
  for (int i = 0; i < kCases; ++i) {
    const Array a = arrays.next();
    const Array b = arrays.next();
    INFO(a << "; " << b);
    const bool expected = really_overlap(a, b);
    met += expected;
    REQUIRE(taut::overlap(a.strided(), b.strided(), effort) == expected);
    REQUIRE(taut::overlap(b.strided(), a.strided(), effort) == expected);
    const bool expected_itself = really_overlaps_itself(a);
    met_themselves += expected_itself;
    REQUIRE(taut::overlaps_itself(a.strided(), effort) == expected_itself);
  }
  // The cases are worth their names.
  CHECK((met > kCases / 10 && met < kCases * 9 / 10));
  CHECK((met_themselves > kCases / 10 && met_themselves < kCases * 9 / 10));
}

TEST_CASE("a search and marks tell the same, and a search without budget tells nothing") {
  RandomArrays arrays(2);
  CountedEffort effort;
  int given_up = 0;
  for (int i = 0; i < 20'000; ++i) {
    const Array a = arrays.next();
    const Array b = arrays.next();
    if (a.strided().is_empty() || b.strided().is_empty()) continue;
    INFO(a << "; " << b);
    std::array<taut::Axis, 4> a_room;
    std::array<taut::Axis, 4> b_room;
    taut::Runs a_runs = taut::bytes_of(a.strided(), a_room);
    taut::Runs b_runs = taut::bytes_of(b.strided(), b_room);
    const bool expected = really_overlap(a, b);
    taut::Budget budget = 3;
    const auto found = taut::share_a_byte(a_runs, b_runs, budget, effort);
    given_up += !found;
    REQUIRE(found.value_or(expected) == expected);
    if (range_of(a.strided()).meets(range_of(b.strided()))) {
      REQUIRE(taut::share_a_mark(a_runs, b_runs, effort) == expected);
    }
    if (std::count(a.strides.begin(), a.strides.end(), 0) > 0) continue;
    a_runs = taut::elements_of(a.strided(), a_room);
    const bool expected_itself = really_overlaps_itself(a);
    budget = 3;
    const auto found_itself = taut::meet_one_another(a_runs, budget, effort);
    REQUIRE(found_itself.value_or(expected_itself) == expected_itself);
    REQUIRE(taut::mark_one_another(a_runs, effort) == expected_itself);
  }
  CHECK(given_up > 100);
}

TEST_CASE("overlaps are told for two steps of any size") {
  RandomArrays random(5);
  CountedEffort effort;
  int met = 0;
  constexpr int kCases = 1500;
  for (int i = 0; i < kCases; ++i) {
    const auto next = [&] {
      const std::ptrdiff_t unit = std::ptrdiff_t{1} << random.number(0, 4);
      const auto count = static_cast<std::size_t>(random.number(2, 60));
      return Array{random.number(0, 500), 4, {count}, {unit * random.number(1, 200)}};
    };
    const Array a = next();
    const Array b = next();
    INFO(a << "; " << b);
    const bool expected = really_overlap(a, b);
    met += expected;
    REQUIRE(taut::overlap(a.strided(), b.strided(), effort) == expected);
    const Array both{0, 4, {a.extents[0], b.extents[0]}, {a.strides[0], b.strides[0]}};
    REQUIRE(taut::overlaps_itself(both.strided(), effort) == really_overlaps_itself(both));
  }
  CHECK((met > kCases / 10 && met < kCases * 9 / 10));
  CHECK(effort.bytes == 0);
}

TEST_CASE("the range of an array holds all of its bytes and no more") {
  RandomArrays arrays(3);
  for (int i = 0; i < 2000; ++i) {
    const Array array = arrays.next();
    INFO(array);
    const taut::ByteRange range = taut::range_of(array.strided());
    const auto bytes = array.bytes();
    if (bytes.empty()) {
      CHECK(range.begin == range.end);
      continue;
    }
    CHECK(reinterpret_cast<std::intptr_t>(range.begin) == kSomewhere + bytes.begin()->first);
    CHECK(reinterpret_cast<std::intptr_t>(range.end) == kSomewhere + bytes.rbegin()->first + 1);
  }
}

// Windows of marks follow one another. The arrays have one element in common, or none.
TEST_CASE("marks tell of places in every window") {
  constexpr std::size_t kRows = 3000;
  CountedEffort effort;
  for (const std::ptrdiff_t row : {0, 1, 1499, 2998, 2999}) {
    const Array field{0, 4, {kRows, 500}, {4004, 8}};
    for (const std::ptrdiff_t offset : {0, 4}) {
      const Array number{row * 4004 + 8 * 300 + offset, 4, {}, {}};
      const Array pair{number.begin, 4, {2, 2}, {40'000'000 + offset, 100'000'004}};
      std::array<taut::Axis, 2> room;
      std::array<taut::Axis, 2> other_room;
      for (const Array* other : {&number, &pair}) {
        taut::Runs runs = taut::bytes_of(field.strided(), room);
        taut::Runs other_runs = taut::bytes_of(other->strided(), other_room);
        CHECK(taut::share_a_mark(runs, other_runs, effort) == (offset == 0));
      }
    }
  }
  for (const std::size_t rows : {kRows, kRows + 1}) {  // the last one meets a row far behind it
    const Array rows_and_one{0, 4, {2, rows, 1000}, {kRows * 4004, 4004, 4}};
    std::array<taut::Axis, 3> room;
    taut::Runs runs = taut::elements_of(rows_and_one.strided(), room);
    CHECK(taut::mark_one_another(runs, effort) == (rows > kRows));
  }
}

// The two numbers of the pair lie between those of a field, and on one where a window begins.
TEST_CASE("windows of marks leave nothing out") {
  constexpr auto kMost = static_cast<std::ptrdiff_t>(taut::Marks::kMost);
  CountedEffort effort;
  const struct {
    std::ptrdiff_t field, between, shared;
  } cases[] = {{0, 2, 2 + kMost}, {2, 3, 3 + 2 * kMost}};
  for (const auto& [first, between, shared] : cases) {
    REQUIRE((shared - first) % 3 == 0);
    const Array field{4 * first, 4, {std::size_t{3} << 20}, {12}};
    const Array pair{4 * between, 4, {2}, {4 * (shared - between)}};
    std::array<taut::Axis, 1> room;
    std::array<taut::Axis, 1> other_room;
    taut::Runs runs = taut::bytes_of(field.strided(), room);
    taut::Runs other_runs = taut::bytes_of(pair.strided(), other_room);
    CHECK(taut::share_a_mark(runs, other_runs, effort));
  }
}

TEST_CASE("marks lie where the runs are, in any window") {
  RandomArrays random(4);
  CountedEffort effort;
  taut::Marks marks(300, effort);
  for (int i = 0; i < 5000; ++i) {
    const std::array<Array, 2> arrays{random.next(), random.next()};
    if (arrays[0].strided().is_empty() || arrays[1].strided().is_empty()) continue;
    std::array<std::array<taut::Axis, 4>, 2> rooms;
    std::array<taut::Runs, 2> runs;
    for (std::size_t j = 0; j < 2; ++j) {
      runs[j] = taut::bytes_of(arrays[j].strided(), rooms[j]);
      runs[j].begin -= kSomewhere - 10'000;
    }
    const auto begin = static_cast<std::uint64_t>(random.number(9800, 10'000));
    const taut::Window window{begin, begin + static_cast<std::uint64_t>(random.number(1, 300))};
    const auto bytes = arrays[0].bytes();
    bool expected = false;
    for (const auto& [byte, times] : arrays[1].bytes()) {
      const auto place = static_cast<std::uint64_t>(byte + 10'000);
      expected |= place >= window.begin && place < window.end && bytes.count(byte) > 0;
    }
    INFO(arrays[0] << "; " << arrays[1] << "; window " << window.begin << " " << window.end);
    marks.move_to(window);
    REQUIRE(!marks.has(runs[1]));
    marks.add(runs[0]);
    REQUIRE(marks.has(runs[1]) == expected);
    REQUIRE(marks.add(runs[1]) >= expected);
  }
}

TEST_CASE("runs are as long and as few as may be") {
  std::array<taut::Axis, 4> room;
  const auto is_merged = [&](const Array& array, std::uint64_t length, std::size_t rank) {
    for (const bool as_bytes : {true, false}) {
      const taut::Runs runs = as_bytes ? taut::bytes_of(array.strided(), room)
                                       : taut::elements_of(array.strided(), room);
      if (runs.length != length || runs.axes.size() != rank) return false;
    }
    return true;
  };
  CHECK(is_merged({0, 4, {2, 3, 5, 7}, {420, 140, 28, 4}}, 840, 0));
  CHECK(is_merged({0, 4, {7, 5, 3, 2}, {4, -28, 140, -420}}, 840, 0));
  CHECK(is_merged({0, 4, {2, 3, 5, 6}, {420, 140, 28, 4}}, 24, 1));
  CHECK(is_merged({0, 4, {2, 3, 5, 1}, {450, 150, 8, 9}}, 4, 2));
  CHECK(is_merged({0, 4, {}, {}}, 4, 0));
  // What comes again is merged where it does not matter that it does.
  CHECK(taut::bytes_of(Array{0, 4, {100, 9}, {4, 4}}.strided(), room).length == 4 * 108);
  CHECK(taut::bytes_of(Array{0, 4, {100, 9, 3}, {8, 16, 0}}.strided(), room).axes.size() == 1);
}

// Slices of one matrix of float32, 1024 by 1024, and what is interleaved with it.
Array columns(std::size_t first, std::size_t count, std::ptrdiff_t begin = 0) {
  return {begin + static_cast<std::ptrdiff_t>(4 * first), 4, {1024, count}, {4096, 4}};
}
Array transposed(const Array& array) {
  return {array.begin,
          array.element_size,
          {array.extents.rbegin(), array.extents.rend()},
          {array.strides.rbegin(), array.strides.rend()}};
}
Array backwards(const Array& array) {
  Array reversed = array;
  for (std::size_t axis = 0; axis < array.extents.size(); ++axis) {
    const auto last = static_cast<std::ptrdiff_t>(array.extents[axis] - 1);
    reversed.begin += last * array.strides[axis];
    reversed.strides[axis] = -array.strides[axis];
  }
  return reversed;
}

TEST_CASE("ordinary arrays take a few steps and no memory") {
  const std::ptrdiff_t size = 4 << 20;
  const struct {
    const char* name;
    Array a;
    Array b;
    bool expected;
  } cases[] = {
      {"columns side by side", columns(0, 512), columns(512, 512), false},
      {"columns that share one", columns(0, 513), columns(512, 512), true},
      {"transposed", columns(0, 512), transposed(columns(512, 512)), false},
      {"transposed, sharing", columns(0, 513), transposed(columns(512, 512)), true},
      {"backwards", columns(0, 512), backwards(columns(512, 512)), false},
      {"a matrix and the next", columns(0, 1024), columns(0, 1024, size), false},
      {"a matrix and its last number", columns(0, 1024), columns(0, 1, size - 4096), true},
      {"interleaved", {0, 4, {1 << 20}, {8}}, {4, 4, {1 << 20}, {8}}, false},
      {"interleaved, two bytes off", {0, 4, {1 << 20}, {8}}, {2, 4, {1 << 20}, {8}}, true},
      {"interleaved half and float", {0, 2, {1 << 20}, {6}}, {2, 4, {1 << 20}, {6}}, false},
      {"rows in turns", {0, 4, {512, 1024}, {8192, 4}}, {4096, 4, {512, 1024}, {8192, 4}}, false},
      {"interleaved matrices", {0, 4, {512, 512}, {8192, 8}}, {4, 4, {512, 512}, {8192, 8}}, false},
      {"tiles across the diagonal",
       {0, 4, {512, 512}, {4096, 4}},
       {512 * 4096 + 2048, 4, {512, 512}, {4096, 4}},
       false},
      {"channels of kernels",
       {0, 4, {256, 16, 3, 3}, {2304, 36, 12, 4}},
       {16 * 36, 4, {256, 16, 3, 3}, {2304, 36, 12, 4}},
       false},
      {"every second and every third", {0, 4, {1 << 19}, {8}}, {4, 4, {1 << 18}, {12}}, true},
      {"every fourth and every sixth", {0, 4, {1 << 18}, {16}}, {4, 4, {1 << 17}, {24}}, false},
      {"windows that slide",
       {0, 4, {1 << 20, 64}, {4, 4}},
       {(4 << 20) + 4 * 63, 4, {1 << 20, 64}, {4, 4}},
       false},
      {"the diagonal and what is beside it", {0, 4, {1024}, {4100}}, {4, 4, {1023}, {4100}}, false},
      {"the diagonal and a column", {0, 4, {1024}, {4100}}, columns(7, 1), true},
      {"columns of matrices of different widths",
       {0, 4, {4000}, {4 * 1021}},
       {400, 4, {4000}, {4 * 1019}},
       true},
      {"one number", columns(0, 512), {2048, 4, {1, 1}, {77, -77}}, false},
      {"one number many times", columns(0, 512), {2048, 4, {1024, 1024}, {0, 0}}, false},
  };
  for (const auto& [name, a, b, expected] : cases) {
    INFO(name);
    for (const Array& first : {a, transposed(a), backwards(a)}) {
      CountedEffort effort;
      bool found = !expected;
      CHECK(allocations_when_repeated([&, &other = b] {
              found = taut::overlap(first.strided(), other.strided(), effort);
            }) == 0);
      CHECK(found == expected);
      CHECK(effort.bytes == 0);
      CHECK(effort.steps <= 3 * 16);
    }
  }
  for (const Array& array :
       {columns(0, 1024), columns(3, 500), transposed(columns(3, 500)), backwards(columns(3, 500)),
        Array{0, 4, {1 << 20}, {12}}, Array{0, 8, {7, 5, 1000}, {8, 56, 280}}}) {
    INFO(array);
    CountedEffort effort;
    CHECK(!taut::overlaps_itself(array.strided(), effort));
    CHECK(effort.bytes == 0);
    CHECK(effort.steps == 0);
  }
}

TEST_CASE("extents of any size are told at once where the stride is 0") {
  constexpr std::size_t kMany = std::size_t{1} << 62;
  CountedEffort effort;
  const Array many{0, 4, {kMany, 3, kMany}, {0, 4, 0}};
  const Array beside{12, 4, {kMany, 3, kMany}, {0, 4, 0}};
  CHECK(taut::overlap(many.strided(), many.strided(), effort));
  CHECK(!taut::overlap(many.strided(), beside.strided(), effort));
  CHECK(taut::overlaps_itself(many.strided(), effort));
  const Array windows{0, 4, {1 << 30, 1 << 30, 1 << 30}, {4, 4, 8}};
  CHECK(taut::overlaps_itself(windows.strided(), effort));
  CHECK(taut::overlap(windows.strided(), many.strided(), effort));
  const Array none{0, 4, {kMany, 0, kMany}, {kMany, 4, kMany}};
  CHECK(!taut::overlaps_itself(none.strided(), effort));
  CHECK(!taut::overlap(none.strided(), many.strided(), effort));
  CHECK(effort.steps < 100);
  CHECK(effort.bytes == 0);
}

TEST_CASE("elements of no bytes overlap nothing") {
  CountedEffort effort;
  const Array some{0, 4, {6}, {4}};
  for (const Array& nothing :
       {Array{8, 0, {2}, {4}}, Array{8, 0, {2, 3}, {4, 0}}, Array{8, 0, {}, {}}}) {
    INFO(nothing);
    CHECK(!taut::overlaps_itself(nothing.strided(), effort));
    CHECK(!taut::overlap(nothing.strided(), some.strided(), effort));
    CHECK(!taut::overlap(nothing.strided(), nothing.strided(), effort));
  }
}

TEST_CASE("arrays that no memory can hold are refused") {
  constexpr std::ptrdiff_t kFar = std::numeric_limits<std::ptrdiff_t>::max();
  constexpr std::ptrdiff_t kLeast = std::numeric_limits<std::ptrdiff_t>::min();
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
  const Array arrays[] = {
      {0, 4, {2}, {kFar}},
      {0, 4, {2}, {kLeast}},
      {0, 4, {5}, {kFar / 2}},  // 2^64 bytes in all
      {0, 4, {kMost}, {kFar}},
      {0, 4, {kMost, kMost}, {4, 4}},
      {0, 4, {std::size_t{1} << 32, std::size_t{1} << 32}, {kFar / 2, kFar / 2}},
      {0, 4, {3, 3, 3}, {std::ptrdiff_t{1} << 60, std::ptrdiff_t{1} << 60, -4}},
      {0, 4, {3}, {-(std::ptrdiff_t{1} << 40)}},  // before the first address
      {-kSomewhere - 4, 8, {}, {}},               // beyond the last
  };
  CountedEffort effort;
  for (const Array& array : arrays) {
    INFO(array);
    CHECK_THROWS_AS(taut::range_of(array.strided()), taut::InvalidArgument);
    CHECK_THROWS_AS(taut::overlaps_itself(array.strided(), effort), taut::InvalidArgument);
    CHECK_THROWS_AS(taut::overlap(array.strided(), array.strided(), effort), taut::InvalidArgument);
  }
}

// Nothing but marks tells these apart: their steps neither nest nor divide one another.
const Array kHard{0, 4, {60, 60, 60, 60}, {4 * 1009, 4 * 1511, 4 * 2003, 4 * 2503}};

TEST_CASE("what takes long can be stopped, and asks often") {
  std::array<taut::Axis, 4> room;
  std::array<taut::Axis, 4> other_room;
  Array other = kHard;
  other.begin = 2;
  const auto decide = [&](taut::Effort& effort) {
    taut::Runs runs = taut::elements_of(kHard.strided(), room);
    taut::mark_one_another(runs, effort);
    runs = taut::bytes_of(kHard.strided(), room);
    taut::Runs other_runs = taut::bytes_of(other.strided(), other_room);
    taut::share_a_mark(runs, other_runs, effort);
  };
  CountedEffort whole;
  decide(whole);
  CHECK(whole.steps > 1'000'000);
  CHECK(whole.longest < 100'000);
  for (const std::size_t steps : {std::size_t{1}, std::size_t{1000}, whole.steps - 1}) {
    CountedEffort effort(steps);
    CHECK_THROWS_AS(decide(effort), CountedEffort::Stopped);
    CHECK(effort.steps < steps + 100'000);
  }
}

}  // namespace
}  // namespace taut_test
