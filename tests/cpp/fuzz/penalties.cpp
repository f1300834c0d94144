#include <cmath>
#include <optional>

#include "cases.hpp"
#include "expected.hpp"
#include "penalties_case.hpp"

namespace taut_test {
namespace {

// Which terms count: all but those whose x has appeared before.
std::vector<bool> counted_of(const PenaltiesCase& of) {
  std::vector<bool> counted;
  for (std::size_t i = 0; i < of.terms.size(); ++i) {
    bool is_first = true;
    for (std::size_t j = 0; j < i; ++j) is_first &= !are_same_memory(of.terms[i].x, of.terms[j].x);
    counted.push_back(is_first);
  }
  return counted;
}

struct Use {
  const Array* array;
  std::size_t term;
  bool is_written;
};

bool are_apart(const PenaltiesCase& of, const std::vector<bool>& counted) {
  std::vector<Use> uses;
  for (std::size_t i = 0; i < of.terms.size(); ++i) {
    const Term& term = of.terms[i];
    if (counted[i]) uses.push_back({&term.x, i, of.task == Task::kProx});
    if (term.gradient && (counted[i] || of.task == Task::kOverwrite)) {
      uses.push_back({&*term.gradient, i, true});
    }
    for (const std::optional<Array>* side : {&term.reference, &term.importance}) {
      if (*side && counted[i]) uses.push_back({&**side, i, false});
    }
  }
  for (const Use& a : uses) {
    for (const Use& b : uses) {
      if (a.term < b.term && (a.is_written || b.is_written) && overlap(*a.array, *b.array)) {
        return false;
      }
    }
  }
  return true;
}

Error expected_error(const PenaltiesCase& of, const std::vector<bool>& counted) {
  const bool is_step = of.task == Task::kProx;
  if (is_step && !(std::isfinite(of.scale) && of.scale >= 0)) return Error::kArgument;
  if (of.values != 0 && of.values != of.terms.size()) return Error::kArgument;
  const Error error = of.is_batch ? Error::kTerm : Error::kArgument;
  for (std::size_t i = 0; i < of.terms.size(); ++i) {
    if (!is_allowed(of.terms[i], of.task, of.scale)) return error;
  }
  return of.task == Task::kValue || are_apart(of, counted) ? Error::kNone : error;
}

std::string name_of(Error error) {
  constexpr const char* kNames[] = {"no error", "an InvalidArgument", "an InvalidTerm"};
  return kNames[static_cast<std::size_t>(error)];
}

// Of each block, which bytes a call may write.
using Marks = std::vector<std::vector<bool>>;

Marks no_marks(const PenaltiesCase& of) {
  Marks marks;
  for (const Block& block : of.blocks) marks.emplace_back(block.size);
  return marks;
}

Marks written_bytes(const PenaltiesCase& of, const std::vector<bool>& counted) {
  Marks written = no_marks(of);
  for (std::size_t i = 0; i < of.terms.size(); ++i) {
    const Array* array = of.terms[i].written(of.task);
    if (array == nullptr || !(counted[i] || of.task == Task::kOverwrite)) continue;
    for (const auto& [block, place] : array->bytes()) {
      written[block][static_cast<std::size_t>(place)] = true;
    }
  }
  return written;
}

void check_untouched(const PenaltiesCase& of, const PenaltiesOutcome& outcome,
                     const Marks& written) {
  for (std::size_t block = 0; block < of.blocks.size(); ++block) {
    const Bytes before = of.blocks[block].bytes();
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (before[i] == outcome.contents[block][i]) continue;
      require(written[block][i], "byte " + std::to_string(i) + " of block " +
                                     std::to_string(block) + " is not to be written");
    }
  }
}

std::vector<Bytes> before_of(const PenaltiesCase& of) {
  std::vector<Bytes> before;
  for (const Block& block : of.blocks) before.push_back(block.bytes());
  return before;
}

// The same result, but for the payloads of NaN.
void check_same(const PenaltiesCase& of, const PenaltiesOutcome& a, const PenaltiesOutcome& b,
                const std::string& whose) {
  require(same_bits(a.total, b.total) && same_bits(a.values, b.values),
          "the values' bits " + whose);
  for (const Term& term : of.terms) {
    const Array* written = term.written(of.task);
    if (written == nullptr) continue;
    require(same_bits(written->numbers(a.contents), written->numbers(b.contents)),
            "the bits of what is written " + whose);
  }
}

void check_reference(const PenaltiesCase& of, std::size_t i, const PenaltiesOutcome& outcome,
                     double value) {
  const Term& term = of.terms[i];
  const std::string which = "term " + std::to_string(i) + ": ";
  const std::vector<Bytes> before = before_of(of);
  if (of.task == Task::kProx) {
    const auto stepped = expected_step(term, before, of.scale);
    if (!stepped) return;
    const auto numbers = term.x.numbers(outcome.contents);
    const std::string error = error_of(*stepped, 1, {}, numbers, term.x.dtype);
    require(error.empty(), which + "of the proximal step, " + error);
    return;
  }
  const auto exact = expected(term, before);
  if (!exact) return;
  const Reference& reference = exact->reference;
  const Real factor = exact->factor;
  const Real rounding = 2 * kRoundoff64 * std::abs(factor * reference.value) + kSmallest64;
  require(is_close(value, factor * reference.value, factor * reference.value_tolerance + rounding,
                   kFormat<double>),
          which + "the value is " + text_of(value) + " and not " +
              text_of(static_cast<double>(factor * reference.value)));
  if (!term.gradient || !is_ordinary(of.scale)) return;
  std::vector<double> start;
  if (of.task == Task::kAccumulate) {
    start = term.gradient->numbers(before);
    for (const double number : start) {
      if (!std::isfinite(number)) return;
    }
  }
  const std::string error =
      error_of(reference, of.scale * factor, start, term.gradient->numbers(outcome.contents),
               term.gradient->dtype);
  require(error.empty(), which + "of the gradient, " + error);
}

// A batch gives what a call for each of its terms alone gives.
void check_singles(const PenaltiesCase& of, const std::vector<bool>& counted,
                   const PenaltiesOutcome& outcome) {
  of.setting.apply();
  const Memory memory(of.blocks);
  for (std::size_t i = 0; i < of.terms.size(); ++i) {
    const Term& term = of.terms[i];
    const Array* written = term.written(of.task);
    if (!counted[i]) {
      require(outcome.values.empty() || same_bits(outcome.values[i], 0),
              "what is left out has the value 0");
      if (of.task != Task::kOverwrite) continue;
      for (const double number : written->numbers(outcome.contents)) {
        require(number == 0, "what is left out has the gradient 0");
      }
      continue;
    }
    if (term.has_sides()) continue;
    const double value = call_single(of, term, memory, nullptr);
    require(of.task == Task::kProx || outcome.values.empty() || same_bits(value, outcome.values[i]),
            "term " + std::to_string(i) + " has the value's bits of a call for it alone");
    if (written == nullptr) continue;
    require(same_bits(written->numbers(memory.contents()), written->numbers(outcome.contents)),
            "term " + std::to_string(i) + " has the bits of a call for it alone");
  }
}

void check(const PenaltiesCase& of) {
  const std::vector<bool> counted = of.is_batch ? counted_of(of) : std::vector<bool>{true};
  const PenaltiesOutcome outcome = run(of, of.setting);
  const Error error = expected_error(of, counted);
  require(outcome.error == error,
          "there is " + name_of(error) + " and not " + name_of(outcome.error));
  if (error != Error::kNone) {
    check_untouched(of, outcome, no_marks(of));
    for (const double value : outcome.values) require(value == kUntouched, "no value is written");
    return;
  }
  check_untouched(of, outcome, written_bytes(of, counted));
  bool elementwise = true;
  for (const Term& term : of.terms) elementwise &= is_elementwise(term.regularizer);
  for (const Setting& setting : settings_beside(of.setting, elementwise)) {
    check_same(of, outcome, run(of, setting), setting.name());
  }
  double total = 0;
  for (std::size_t i = 0; i < of.terms.size(); ++i) {
    if (!of.is_batch || !outcome.values.empty() || of.task == Task::kProx) {
      const double value = outcome.values.empty() ? outcome.total : outcome.values[i];
      if (counted[i]) check_reference(of, i, outcome, value);
      total += value;
    }
  }
  if (!outcome.values.empty()) require(same_bits(total, outcome.total), "the total is the sum");
  if (of.is_batch) check_singles(of, counted, outcome);
}

}  // namespace

void run_penalties(Reader& reader, const Tell& tell) {
  const PenaltiesCase read = read_penalties_case(reader);
  tell(statements_of(read));
  check(read);
}

}  // namespace taut_test
