// What a case found, and how it is told.

#ifndef TAUT_TESTS_FUZZ_FINDING_HPP_
#define TAUT_TESTS_FUZZ_FINDING_HPP_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>

namespace taut_test {

// A promise that was not kept.
class Finding : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void require(bool kept, const std::string& promise) {
  if (!kept) throw Finding(promise);
}

// A test to paste, with the statements of a case.
std::string text_of_test(const std::string& statements);

// Reads a case from the bytes of an input, tells its test to `tell`, and runs it. Throws a Finding
// for what taut does not keep; a sanitizer ends the process.
using Tell = std::function<void(const std::string& test)>;
void run_case(std::span<const std::uint8_t> input, const Tell& tell);

}  // namespace taut_test

#endif  // TAUT_TESTS_FUZZ_FINDING_HPP_
