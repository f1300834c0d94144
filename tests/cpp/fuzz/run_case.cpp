#include "cases.hpp"

namespace taut_test {

std::string text_of_test(const std::string& statements) {
  return "TEST_CASE(\"found by a fuzzer\") {\n" + statements + "}\n";
}

void run_case(std::span<const std::uint8_t> input, const Tell& tell) {
  Reader reader(input);
  const Tell as_test = [&](const std::string& statements) { tell(text_of_test(statements)); };
  constexpr decltype(&run_penalties) kCases[] = {run_penalties, run_penalties, run_penalties,
                                                 run_range,     run_shares,    run_addresses};
  reader.pick(kCases)(reader, as_test);
}

}  // namespace taut_test
