// What libFuzzer calls. A finding is told as a test to paste.

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "finding.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string test;
  try {
    taut_test::run_case({data, size}, [&](const std::string& told) { test = told; });
  } catch (const std::exception& error) {
    std::fprintf(stderr, "\nNot kept: %s\n\n%s\n", error.what(), test.c_str());
    std::abort();
  }
  return 0;
}
