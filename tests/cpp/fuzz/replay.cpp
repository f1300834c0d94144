// Runs inputs without libFuzzer: `replay PATH...`, where a folder is all of its files. With --print
// first, it writes the test of each before it runs, which a sanitizer may end.

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <vector>

#include "finding.hpp"

namespace {

std::vector<std::uint8_t> read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

bool replay(const std::filesystem::path& path, bool prints) {
  std::string test;
  try {
    taut_test::run_case(read(path), [&](const std::string& told) {
      test = told;
      if (prints) std::printf("%s", test.c_str());
      std::fflush(stdout);
    });
  } catch (const std::exception& error) {
    std::printf("%s: not kept: %s\n\n%s\n", path.string().c_str(), error.what(), test.c_str());
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char* argv[]) {
  bool prints = false;
  bool all_kept = true;
  int count = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--print") {
      prints = true;
    } else if (std::filesystem::is_directory(argument)) {
      for (const auto& entry : std::filesystem::directory_iterator(argument)) {
        all_kept &= replay(entry.path(), prints);
        ++count;
      }
    } else {
      all_kept &= replay(argument, prints);
      ++count;
    }
  }
  std::printf("%d inputs\n", count);
  return all_kept && count > 0 ? 0 : 1;
}
