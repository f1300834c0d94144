// TAUT_SIMD caps the level that is used from the start. CTest runs this once for each of its
// values.

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <taut/taut.hpp>
#include <vector>

#include "catch2.hpp"

namespace {

// A processor that CTest emulates, or that whoever runs this knows.
TEST_CASE("the levels are those of the processor") {
  const char* expected = std::getenv("TAUT_TEST_PROCESSOR_LEVELS");
  if (expected == nullptr) return;
  std::string names;
  for (const std::string_view name : taut::available_levels()) names += std::string(name) + " ";
  REQUIRE(names == expected + std::string(" "));
}

TEST_CASE("the level is the best one that TAUT_SIMD allows") {
  const char* set = std::getenv("TAUT_SIMD");
  const std::string cap = set == nullptr ? "" : set;
  std::vector<std::string_view> levels = taut::available_levels();
  REQUIRE_FALSE(levels.empty());
  REQUIRE(std::is_sorted(levels.begin(), levels.end()));  // v2, v3, v4
  const std::vector<std::string> names =
      levels.front() == "neon" ? std::vector<std::string>{"neon"}
                               : std::vector<std::string>{"x86-64-v2", "x86-64-v3", "x86-64-v4"};
  if (std::find(names.begin(), names.end(), cap) == names.end()) {
    REQUIRE_THROWS_AS(taut::level(), taut::InvalidArgument);
    return;
  }
  std::erase_if(levels, [&](std::string_view name) { return name > cap; });
  REQUIRE(taut::level() == levels.back());
}

}  // namespace
