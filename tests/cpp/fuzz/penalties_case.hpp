// A penalty, or a batch of them, and what comes of a call for it.

#ifndef TAUT_TESTS_FUZZ_PENALTIES_CASE_HPP_
#define TAUT_TESTS_FUZZ_PENALTIES_CASE_HPP_

#include <string>
#include <taut/taut.hpp>
#include <vector>

#include "setting.hpp"
#include "term.hpp"

namespace taut_test {

struct PenaltiesCase {
  std::vector<Block> blocks;
  std::vector<Term> terms;
  Task task;
  double scale;        // or step
  bool is_batch;       // which functions are called
  std::size_t values;  // how many are asked for
  bool has_workspace;
  Setting setting;
};

PenaltiesCase read_penalties_case(Reader& reader);
std::string statements_of(const PenaltiesCase& of);

enum class Error { kNone, kArgument, kTerm };
constexpr double kUntouched = -123;

struct PenaltiesOutcome {
  Error error = Error::kNone;
  double total = 0;
  std::vector<double> values;  // kUntouched before the call
  std::vector<Bytes> contents;
};

// Throws a Finding where errors are not told as they should be.
PenaltiesOutcome run(const PenaltiesCase& of, const Setting& setting);
// A call for a term alone; returns the value.
double call_single(const PenaltiesCase& of, const Term& term, const Memory& memory,
                   taut::Workspace* workspace);

}  // namespace taut_test

#endif  // TAUT_TESTS_FUZZ_PENALTIES_CASE_HPP_
