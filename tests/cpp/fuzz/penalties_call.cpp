#include <optional>
#include <span>

#include "finding.hpp"
#include "penalties_case.hpp"

namespace taut_test {
namespace {

std::optional<taut::ConstView> view_of(const std::optional<Array>& array, const Memory& memory) {
  if (!array) return std::nullopt;
  return array->view(memory);
}

// What check refuses, call refuses, and nothing else by a Refusal.
template <typename Refusal, typename Check, typename Call>
double call_checked(Check check, Call call) {
  bool is_refused = false;
  try {
    check();
  } catch (const Refusal&) {
    is_refused = true;
  }
  try {
    const double total = call();
    require(!is_refused, "what a check refuses is refused");
    return total;
  } catch (const Refusal&) {
    require(is_refused, "what is refused is refused by a check");
    throw;
  }
}

double call_batch(const PenaltiesCase& of, const Memory& memory, std::span<double> values,
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
    return call_checked<taut::InvalidArgument>([&] { taut::check_prox(terms, of.scale); },
                                               [&] {
                                                 taut::prox(terms, of.scale, workspace);
                                                 return 0.0;
                                               });
  }
  std::vector<taut::GradientTerm> terms;
  for (const Term& term : of.terms) {
    terms.push_back({term.regularizer, term.x.view(memory), term.gradient->view(memory),
                     view_of(term.reference, memory), view_of(term.importance, memory)});
  }
  if (of.task == Task::kOverwrite) {
    return taut::value_and_grad(terms, of.scale, values, workspace);
  }
  // A wrong number of values is no InvalidTerm.
  return call_checked<taut::InvalidTerm>(
      [&] { taut::check_accumulate_grad(terms, of.scale); },
      [&] { return taut::accumulate_grad(terms, of.scale, values, workspace); });
}

}  // namespace

double call_single(const PenaltiesCase& of, const Term& term, const Memory& memory,
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

PenaltiesOutcome run(const PenaltiesCase& of, const Setting& setting) {
  setting.apply();
  const Memory memory(of.blocks);
  taut::Workspace own;
  taut::Workspace* workspace = of.has_workspace ? &own : nullptr;
  PenaltiesOutcome outcome;
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

}  // namespace taut_test
