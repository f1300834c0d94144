#include "taut/batch.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <type_traits>

#include "api/problems.hpp"
#include "plans/registry.hpp"
#include "run/executor.hpp"
#include "run/float_environment.hpp"
#include "run/stop.hpp"
#include "views/check.hpp"
#include "views/overlap.hpp"
#include "views/same_memory.hpp"

namespace taut {
namespace {

// Of what is done for each term beside its elements, about: there may be a million of them.
constexpr std::size_t kTermSteps = 200;
constexpr double kTermNanoseconds = 200;
constexpr double kSumNanoseconds = 20;

template <typename AnyTerm>
const View* written_of(const AnyTerm& term) {
  if constexpr (std::is_same_v<AnyTerm, GradientTerm>) {
    return &term.gradient;
  } else if constexpr (std::is_same_v<AnyTerm, ProxTerm>) {
    return &term.x;
  } else {
    return nullptr;
  }
}

const ConstView* pointer_to(const std::optional<ConstView>& view) {
  return view ? &*view : nullptr;
}

// What is checked of one term; what it throws is told with the term's index.
template <typename Check>
void check_term(std::size_t term, Check check) {
  try {
    check();
  } catch (const InvalidArgument& error) {
    throw InvalidTerm(term, error.what());
  }
}

std::span<const bool> all_of(std::size_t terms, const Call& call) {
  const auto all = call.arena().take<bool>(terms);
  std::fill(all.begin(), all.end(), true);
  return all;
}

// Which terms count: all but those whose x has appeared before.
std::span<const bool> find_counted(std::span<const Problem> problems, const Call& call,
                                   Effort& effort) {
  const auto counted = call.arena().take<bool>(problems.size());
  const auto readings = call.arena().take<Reading>(problems.size());
  const auto terms = call.arena().take<std::size_t>(problems.size());
  std::size_t count = 0;
  for (std::size_t term = 0; term < problems.size(); ++term) {
    counted[term] = true;
    const Problem& problem = problems[term];
    if (problem.layout.size == 0) continue;
    terms[count] = term;
    readings[count++] = {problem.layout.strided(0), static_cast<int>(problem.dtype)};
  }
  const auto first = find_first_readings(readings.first(count), effort);
  for (std::size_t i = 0; i < count; ++i) counted[terms[i]] = first[i] == i;
  return counted;
}

// What the terms that count read and write, what is overwritten of the others, and the values.
std::span<const Use> uses_of(std::span<const Problem> problems, std::span<const bool> counted,
                             const Bytes& values, const Call& call) {
  const auto uses = call.arena().take<Use>(4 * problems.size() + 1);
  std::size_t count = 0;
  for (std::size_t term = 0; term < problems.size(); ++term) {
    const Task task = problems[term].task;
    const Layout& layout = problems[term].layout;
    if (layout.size == 0) continue;
    if (counted[term]) uses[count++] = {layout.strided(0), term, task == Task::kProx};
    if (layout.has(1) && (counted[term] || task == Task::kOverwrite)) {
      uses[count++] = {layout.strided(1), term, true};
    }
    for (const std::size_t side : {kReference, kImportance}) {
      if (layout.has(side) && counted[term]) uses[count++] = {layout.strided(side), term, false};
    }
  }
  uses[count++] = {values.strided(), problems.size(), true};
  return uses.first(count);
}

// The values are written over no array of a term, whether it counts or not.
void check_values_apart(const Bytes& values, std::span<const Problem> problems, Effort& effort) {
  for (std::size_t term = 0; term < problems.size(); ++term) {
    const Layout& layout = problems[term].layout;
    if (layout.size == 0) continue;
    check_term(term, [&] {
      for (const std::size_t side : {std::size_t{0}, std::size_t{1}, kReference, kImportance}) {
        if (!layout.has(side) || !overlap(values.strided(), layout.strided(side), effort)) continue;
        throw InvalidArgument(
            "The values must not overlap a tensor, nor its gradient, reference "
            "or importance: they share memory");
      }
    });
  }
}

// No term writes what another one reads or writes.
void check_apart(std::span<const Use> uses, Effort& effort) {
  const auto found = find_overlap(uses, effort);
  if (!found) return;
  const Use& first = uses[found->first];
  const Use& second = uses[found->second];
  const bool both = first.is_written && second.is_written;
  throw InvalidTerm(
      both ? std::max(first.term, second.term) : (first.is_written ? first : second).term,
      "What is written for one tensor must not overlap another one, nor its "
      "gradient, reference or importance: they share memory");
}

// An array as callers describe it. `extents` has room for those that are allowed.
Strided strided_of(const void* data, std::size_t element_size,
                   std::span<const std::ptrdiff_t> shape, std::span<const std::ptrdiff_t> strides,
                   std::span<std::size_t> extents) {
  if (shape.size() != strides.size() || shape.size() > kMaxRank) {
    throw InvalidArgument("an array has as many strides as extents, and at most 64");
  }
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] < 0) throw InvalidArgument("the extents of an array are not negative");
    extents[axis] = static_cast<std::size_t>(shape[axis]);
  }
  return {static_cast<const std::byte*>(data), element_size, extents.first(shape.size()), strides};
}

struct Checked {
  std::span<Problem> problems;
  std::span<const bool> counted;
};

// Whatever can be refused, is refused here.
template <typename AnyTerm>
Checked check(std::span<const AnyTerm> terms, Task task, double scale,
              std::span<const double> values, const Call& call) {
  CallEffort effort(call);
  const auto problems = call.arena().take<Problem>(terms.size());
  for (std::size_t term = 0; term < terms.size(); ++term) {
    effort.spend(kTermSteps);
    const AnyTerm& of = terms[term];
    const SideViews sides{pointer_to(of.reference), pointer_to(of.importance)};
    problems[term] = make_problem(task, scale, of.x, written_of(of), sides, call);
  }
  const Bytes written{values.data(), values.size_bytes()};
  // Most tensors are apart: one look at their ranges tells.
  std::span<const bool> counted = all_of(terms.size(), call);
  const bool are_apart = are_ranges_apart(uses_of(problems, counted, written, call), effort);
  if (!are_apart) counted = find_counted(problems, call, effort);
  for (std::size_t term = 0; term < terms.size(); ++term) {
    effort.spend(kTermSteps);
    check_term(term, [&] {
      check_penalty(terms[term].regularizer, problems[term], terms[term].x);
      check_written(problems[term], call);  // whether it counts or not
    });
  }
  if (!are_apart) check_values_apart(written, problems, effort);
  if (!are_apart && task != Task::kValue) {
    check_apart(uses_of(problems, counted, written, call), effort);
  }
  return {problems, counted};
}

template <typename AnyTerm>
double run(std::span<const AnyTerm> terms, Task task, double scale, std::span<double> values,
           Workspace* workspace) {
  const Call call(workspace);
  Arena& arena = call.arena();
  if (!values.empty() && values.size() != terms.size()) {
    throw InvalidArgument("There must be as many values as terms");
  }
  const auto [problems, counted] = check(terms, task, scale, values, call);
  if (values.empty()) values = arena.take<double>(terms.size());

  return call_isolated(
      [&, &problems = problems, &counted = counted](const DefaultFloatEnvironment& environment) {
        const Questions questions(&environment);
        const auto plans = arena.take<Plan*>(terms.size());
        for (std::size_t term = 0; term < terms.size(); ++term) {
          Questions::ask_if_due(kTermNanoseconds);
          plans[term] = counted[term] ? &plan_of(terms[term].regularizer, problems[term], call)
                                      : &make_zero_plan(problems[term], call);
        }
        Executor(plans, arena).run(environment);
        double total = 0;
        for (std::size_t term = 0; term < terms.size(); ++term) {
          values[term] = plans[term]->combine();
          total += values[term];
          Questions::ask_if_due(kSumNanoseconds);
        }
        return total;
      });
}

}  // namespace

double value(std::span<const Term> terms, std::span<double> values, Workspace* workspace) {
  return run(terms, Task::kValue, 1, values, workspace);
}

double accumulate_grad(std::span<const GradientTerm> terms, double scale, std::span<double> values,
                       Workspace* workspace) {
  return run(terms, Task::kAccumulate, scale, values, workspace);
}

double value_and_grad(std::span<const GradientTerm> terms, double scale, std::span<double> values,
                      Workspace* workspace) {
  return run(terms, Task::kOverwrite, scale, values, workspace);
}

void check_accumulate_grad(std::span<const GradientTerm> terms, double scale) {
  const Call call(nullptr);
  check(terms, Task::kAccumulate, scale, {}, call);
}

void prox(std::span<const ProxTerm> terms, double step, Workspace* workspace) {
  check_step(step);
  run(terms, Task::kProx, step, {}, workspace);
}

void check_prox(std::span<const ProxTerm> terms, double step) {
  check_step(step);
  const Call call(nullptr);
  check(terms, Task::kProx, step, {}, call);
}

void check_apart(std::span<const Memory> arrays) {
  const Call call(nullptr);
  CallEffort effort(call);
  const auto uses = call.arena().take<Use>(arrays.size());
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    check_term(i, [&] {
      const Memory& array = arrays[i];
      const auto extents = call.arena().take<std::size_t>(array.shape.size());
      uses[i] = {strided_of(array.data, array.element_size, array.shape, array.strides, extents), i,
                 array.is_written};
      if (array.is_written && overlaps_itself(uses[i].array, effort)) {
        throw InvalidArgument(
            "What is written must not overlap itself: some of its elements share memory");
      }
    });
  }
  if (!are_ranges_apart(uses, effort)) check_apart(uses, effort);
}

std::vector<std::uint64_t> memory_key(const void* data, std::size_t element_size,
                                      std::span<const std::ptrdiff_t> shape,
                                      std::span<const std::ptrdiff_t> strides) {
  std::array<std::size_t, kMaxRank> extents;
  return key_of_memory(strided_of(data, element_size, shape, strides, extents));
}

}  // namespace taut
