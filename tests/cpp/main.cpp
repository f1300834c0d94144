// The main function of every test: Catch2's, unless the test is asked for a level that this
// processor lacks. CTest asks for one level at a time, so that it reports such a level as not run
// rather than as passed.
#define CATCH_CONFIG_RUNNER
#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "catch2.hpp"
#include "runtime_guards.hpp"

int main(int argc, char* argv[]) {
  const std::vector<std::string_view> levels = taut::available_levels();
  for (const std::string& name : taut_test::levels_under_test()) {
    if (std::find(levels.begin(), levels.end(), name) != levels.end()) continue;
    std::printf("not run: this processor has no %s\n", name.c_str());
    return 77;  // what CTest takes for "skipped": SKIP_RETURN_CODE
  }
  return Catch::Session().run(argc, argv);
}
