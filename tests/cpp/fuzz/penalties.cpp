#include <algorithm>
#include <cmath>
#include <optional>

#include "cases.hpp"
#include "setting.hpp"
#include "term.hpp"

namespace taut_test {
namespace {

constexpr double kUntouched = -123;

struct Case {
  std::vector<Block> blocks;
  std::vector<Term> terms;
  Task task;
  double scale;        // or step
  bool is_batch;       // which functions are called
  std::size_t values;  // how many are asked for
  bool has_workspace;
  Setting setting;
};

enum class Error { kNone, kArgument, kTerm };

struct Outcome {
  Error error = Error::kNone;
  double total = 0;
  std::vector<double> values;
  std::vector<Bytes> contents;
};

Case read_case(Reader& reader) {
  constexpr Task kTasks[] = {Task::kAccumulate, Task::kOverwrite, Task::kValue, Task::kProx};
  Case read{};
  read.setting = read_setting(reader);
  read.task = reader.pick(kTasks);
  read.scale = reader.flag() ? read_factor(reader) : 1;
  if (read.task != Task::kProx && reader.rarely(4)) read.scale = -read.scale;
  read.is_batch = reader.flag();
  read.has_workspace = reader.flag();
  const std::size_t count = read.is_batch ? reader.below(4) : 1;
  for (std::size_t i = 0; i < count; ++i) {
    const taut::Regularizer regularizer = read_regularizer(reader);
    const Shape shape = read_shape(reader, count == 1 && is_elementwise(regularizer));
    const taut::DType dtype = read_dtype(reader);
    const auto array_like_x = [&] {
      const taut::DType wide = taut::DType::kFloat32;
      const taut::DType own = reader.rarely(3)    ? wide
                              : reader.rarely(16) ? read_dtype(reader)
                                                  : dtype;
      const bool is_other = reader.rarely(16);
      return read_array(reader, own, is_other ? read_shape(reader, false) : shape, read.blocks);
    };
    Term term{regularizer, read_array(reader, dtype, shape, read.blocks), {}, {}, {}};
    if (i > 0 && reader.rarely(4)) term.x = read.terms[reader.below(i)].x;  // tied
    if (read.task == Task::kAccumulate || read.task == Task::kOverwrite) {
      term.gradient = array_like_x();
    }
    if (read.is_batch && reader.rarely(3)) term.reference = array_like_x();
    if (read.is_batch && reader.rarely(3)) term.importance = array_like_x();
    read.terms.push_back(term);
  }
  if (read.is_batch && read.task != Task::kProx && reader.flag()) {
    read.values = reader.rarely(16) ? 1 : count;
  }
  return read;
}

std::string statements_of(const Case& of) {
  std::string text;
  for (std::size_t i = 0; i < of.blocks.size(); ++i) text += text_of(of.blocks[i], i);
  std::string terms;
  for (std::size_t i = 0; i < of.terms.size(); ++i) {
    const Term& term = of.terms[i];
    const std::string number = "_" + std::to_string(i);
    text += term.x.text("x" + number);
    terms += "      {" + text_of(term.regularizer) + ", x" + number;
    if (term.gradient) {
      text += term.gradient->text("gradient" + number);
      terms += ", gradient" + number;
    }
    for (const auto& [side, name] :
         {std::pair(&term.reference, "reference"), std::pair(&term.importance, "importance")}) {
      if (*side) text += (*side)->text(name + number);
      terms += *side ? std::string(", ") + name + number : ", std::nullopt";
    }
    terms += "},\n";
  }
  text += of.setting.text();
  constexpr const char* kNames[] = {"value", "accumulate_grad", "value_and_grad", "prox"};
  constexpr const char* kTerms[] = {"Term", "GradientTerm", "GradientTerm", "ProxTerm"};
  const auto task = static_cast<std::size_t>(of.task);
  const std::string scale = of.task == Task::kValue ? "" : ", " + text_of(of.scale);
  const std::string workspace = of.has_workspace && of.task != Task::kProx ? ", &workspace" : "";
  if (of.has_workspace) text += "  taut::Workspace workspace;\n";
  if (!of.is_batch) {
    return text + "  taut::" + kNames[task] + "(" + text_of(of.terms[0].regularizer) + ", x_0" +
           (of.terms[0].gradient ? ", gradient_0" : "") + scale + workspace + ");\n";
  }
  text +=
      std::string("  const std::vector<taut::") + kTerms[task] + "> terms{\n" + terms + "  };\n";
  if (of.task == Task::kProx) {
    return text + "  taut::prox(terms" + scale + (of.has_workspace ? ", &workspace" : "") + ");\n";
  }
  return text + "  std::vector<double> values(" + std::to_string(of.values) +
         ");\n  taut::" + kNames[task] + "(terms" + scale + ", values" + workspace + ");\n";
}

std::optional<taut::ConstView> view_of(const std::optional<Array>& array, const Memory& memory) {
  if (!array) return std::nullopt;
  return array->view(memory);
}

double call_single(const Case& of, const Term& term, const Memory& memory,
                   taut::Workspace* workspace) {
  const taut::View x = term.x.view(memory);
  switch (of.task) {
    case Task::kValue:
      return taut::value(term.regularizer, x, workspace);
    case Task::kAccumulate:
      return taut::accumulate_grad(term.regularizer, x, term.gradient->view(memory), of.scale,
                                   workspace);
    case Task::kOverwrite:
      return taut::value_and_grad(term.regularizer, x, term.gradient->view(memory), of.scale,
                                  workspace);
    case Task::kProx:
      break;
  }
  taut::prox(term.regularizer, x, of.scale);
  return 0;
}

double call_batch(const Case& of, const Memory& memory, std::span<double> values,
                  taut::Workspace* workspace) {
  if (of.task == Task::kValue) {
    std::vector<taut::Term> terms;
    for (const Term& term : of.terms) {
      terms.push_back({term.regularizer, term.x.view(memory), view_of(term.reference, memory),
                       view_of(term.importance, memory)});
    }
    return taut::value(terms, values, workspace);
  }
  if (of.task == Task::kProx) {
    std::vector<taut::ProxTerm> terms;
    for (const Term& term : of.terms) {
      terms.push_back({term.regularizer, term.x.view(memory), view_of(term.reference, memory),
                       view_of(term.importance, memory)});
    }
    bool is_refused = false;
    try {
      taut::check_prox(terms, of.scale);
    } catch (const taut::InvalidArgument&) {
      is_refused = true;
    }
    try {
      taut::prox(terms, of.scale, workspace);
    } catch (const taut::InvalidArgument&) {
      require(is_refused, "what is refused is refused by check_prox");
      throw;
    }
    require(!is_refused, "what check_prox refuses is refused");
    return 0;
  }
  std::vector<taut::GradientTerm> terms;
  for (const Term& term : of.terms) {
    terms.push_back({term.regularizer, term.x.view(memory), term.gradient->view(memory),
                     view_of(term.reference, memory), view_of(term.importance, memory)});
  }
  if (of.task == Task::kOverwrite) {
    return taut::value_and_grad(terms, of.scale, values, workspace);
  }
  // What check_accumulate_grad refuses, accumulate_grad refuses, and nothing else but a wrong
  // number of values.
  bool is_refused = false;
  try {
    taut::check_accumulate_grad(terms, of.scale);
  } catch (const taut::InvalidTerm&) {
    is_refused = true;
  }
  try {
    const double total = taut::accumulate_grad(terms, of.scale, values, workspace);
    require(!is_refused, "what check_accumulate_grad refuses is refused");
    return total;
  } catch (const taut::InvalidTerm&) {
    require(is_refused, "what is refused is refused by check_accumulate_grad");
    throw;
  }
}

Outcome run(const Case& of, const Setting& setting) {
  setting.apply();
  const Memory memory(of.blocks);
  taut::Workspace own;
  taut::Workspace* workspace = of.has_workspace ? &own : nullptr;
  Outcome outcome;
  outcome.values.assign(of.values, kUntouched);
  try {
    outcome.total = of.is_batch ? call_batch(of, memory, outcome.values, workspace)
                                : call_single(of, of.terms[0], memory, workspace);
  } catch (const taut::InvalidTerm& error) {
    require(error.term() < of.terms.size(), "an InvalidTerm has the index of a term");
    outcome.error = Error::kTerm;
  } catch (const taut::InvalidArgument&) {
    outcome.error = Error::kArgument;
  }
  outcome.contents = memory.contents();
  return outcome;
}

// Which terms count: all but those whose x has appeared before.
std::vector<bool> counted_of(const Case& of) {
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

bool are_apart(const Case& of, const std::vector<bool>& counted) {
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

Error expected_error(const Case& of, const std::vector<bool>& counted) {
  const bool is_step = of.task == Task::kProx;
  if (is_step && !(std::isfinite(of.scale) && of.scale >= 0)) return Error::kArgument;
  if (of.values != 0 && of.values != of.terms.size()) return Error::kArgument;
  const Error error = of.is_batch ? Error::kTerm : Error::kArgument;
  for (std::size_t i = 0; i < of.terms.size(); ++i) {
    const bool is_written = counted[i] || of.task == Task::kOverwrite;
    if (!is_allowed(of.terms[i], of.task, of.scale, is_written)) return error;
  }
  return of.task == Task::kValue || are_apart(of, counted) ? Error::kNone : error;
}

std::string name_of(Error error) {
  constexpr const char* kNames[] = {"no error", "an InvalidArgument", "an InvalidTerm"};
  return kNames[static_cast<std::size_t>(error)];
}

// Of each block, which bytes a call may write.
using Marks = std::vector<std::vector<bool>>;

Marks no_marks(const Case& of) {
  Marks marks;
  for (const Block& block : of.blocks) marks.emplace_back(block.size);
  return marks;
}

Marks written_bytes(const Case& of, const std::vector<bool>& counted) {
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

void check_untouched(const Case& of, const Outcome& outcome, const Marks& written) {
  for (std::size_t block = 0; block < of.blocks.size(); ++block) {
    const Bytes before = of.blocks[block].bytes();
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (before[i] == outcome.contents[block][i]) continue;
      require(written[block][i], "byte " + std::to_string(i) + " of block " +
                                     std::to_string(block) + " is not to be written");
    }
  }
}

std::vector<Bytes> before_of(const Case& of) {
  std::vector<Bytes> before;
  for (const Block& block : of.blocks) before.push_back(block.bytes());
  return before;
}

// The same result, but for the payloads of NaN.
void check_same(const Case& of, const Outcome& a, const Outcome& b, const std::string& whose) {
  require(same_bits(a.total, b.total) && same_bits(a.values, b.values),
          "the values' bits " + whose);
  for (const Term& term : of.terms) {
    const Array* written = term.written(of.task);
    if (written == nullptr) continue;
    require(same_bits(written->numbers(a.contents), written->numbers(b.contents)),
            "the bits of what is written " + whose);
  }
}

void check_reference(const Case& of, std::size_t i, const Outcome& outcome, double value) {
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
void check_singles(const Case& of, const std::vector<bool>& counted, const Outcome& outcome) {
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

void check(const Case& of) {
  const std::vector<bool> counted = of.is_batch ? counted_of(of) : std::vector<bool>{true};
  const Outcome outcome = run(of, of.setting);
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
  const Case read = read_case(reader);
  tell(statements_of(read));
  check(read);
}

}  // namespace taut_test
