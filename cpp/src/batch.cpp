#include "taut/batch.hpp"

#include <algorithm>
#include <optional>
#include <span>

#include "batch_memory.hpp"
#include "check.hpp"
#include "elementwise.hpp"
#include "float_environment.hpp"
#include "gram.hpp"
#include "overloaded.hpp"
#include "parallel.hpp"

namespace taut {
namespace {

// Fewer elements than this are not worth another thread's attention.
constexpr std::size_t kSmallestShare = 32768;
// What a term costs beside its elements.
constexpr double kTermNanoseconds = 100;

// Calls check(term) for every term; what it throws is told with the term's index.
template <typename AnyTerm, typename Check>
void check_terms(std::span<const AnyTerm> terms, Check check) {
  for (std::size_t term = 0; term < terms.size(); ++term) {
    try {
      check(term);
    } catch (const InvalidArgument& error) {
      throw InvalidTerm(term, error.what());
    }
  }
}

std::optional<ElementwiseFactors> elementwise_factors(const Regularizer& regularizer) {
  return std::visit(
      Overloaded{
          [](const OrthogonalRegularizer&) { return std::optional<ElementwiseFactors>(); },
          [](const auto& r) { return std::optional(factors_of(r)); },
      },
      regularizer);
}

// One piece of one term's array.
struct Unit {
  std::size_t term;
  std::size_t piece;
};

// The pieces of all elementwise terms that count and have something to compute.
template <typename AnyTerm>
std::span<const Unit> units_of(std::span<const AnyTerm> terms, std::span<const bool> counted,
                               WorkspaceScope& memory) {
  const auto for_each = [&](auto function) {
    for (std::size_t term = 0; term < terms.size(); ++term) {
      const auto factors = elementwise_factors(terms[term].regularizer);
      if (!counted[term] || !factors || is_zero(*factors)) continue;
      function(term, Pieces(terms[term].x.size()).count);
    }
  };
  std::size_t count = 0;
  for_each([&](std::size_t, std::size_t pieces) { count += pieces; });
  const auto units = memory.take<Unit>(count);
  auto next = units.begin();
  for_each([&](std::size_t term, std::size_t pieces) {
    for (std::size_t piece = 0; piece < pieces; ++piece) *next++ = {term, piece};
  });
  return units;
}

// Does the elementwise work of all terms that count. make_work(factors, term) returns one term's
// work; add(term, value) is told each term's value.
template <typename Work, typename AnyTerm, typename MakeWork, typename Add>
void run_elementwise(std::span<const AnyTerm> terms, std::span<const bool> counted,
                     Workspace& workspace, MakeWork make_work, Add add) {
  WorkspaceScope memory(workspace);
  const std::span<const Unit> units = units_of(terms, counted, memory);
  // Where each share of the work begins among the units, and where the last one ends.
  const auto shares = memory.take<std::size_t>(units.size() + 1);
  std::size_t count = 0;
  std::size_t elements = 0;
  std::size_t in_share = kSmallestShare;
  for (std::size_t unit = 0; unit < units.size(); ++unit) {
    if (in_share >= kSmallestShare) {
      shares[count++] = unit;
      in_share = 0;
    }
    const Pieces pieces(terms[units[unit].term].x.size());
    const std::size_t size = pieces.end(units[unit].piece) - pieces.begin(units[unit].piece);
    in_share += size;
    elements += size;
  }
  shares[count] = units.size();

  const auto sums = memory.take<ElementwiseSums>(units.size());
  const double nanoseconds = static_cast<double>(elements) * Work::kNanoseconds +
                             static_cast<double>(units.size()) * kTermNanoseconds;
  parallel_for(count, count_workers(count, nanoseconds), [&](std::size_t share, std::size_t) {
    for (std::size_t unit = shares[share]; unit < shares[share + 1]; ++unit) {
      const auto [term, piece] = units[unit];
      const Pieces pieces(terms[term].x.size());
      const Work work = make_work(*elementwise_factors(terms[term].regularizer), term);
      sums[unit] = work.run(pieces.begin(piece), pieces.end(piece));
    }
  });

  for (std::size_t unit = 0; unit < units.size();) {
    const std::size_t term = units[unit].term;
    const std::size_t pieces = Pieces(terms[term].x.size()).count;
    add(term, combine(*elementwise_factors(terms[term].regularizer), &sums[unit], pieces));
    unit += pieces;
  }
}

// Collects the values of the terms, in whatever order they come.
class Values {
 public:
  Values(std::size_t terms, std::span<double> values, WorkspaceScope& memory)
      : values_(values.empty() ? memory.take<double>(terms) : values) {
    if (values_.size() != terms) throw InvalidArgument("There must be as many values as terms");
    std::fill(values_.begin(), values_.end(), 0.0);
  }
  double& operator[](std::size_t term) { return values_[term]; }
  double total() const {
    double total = 0;
    for (const double value : values_) total += value;
    return total;
  }

 private:
  std::span<double> values_;
};

// All terms that count: elementwise ones together, orthogonal ones after one another, each of which
// shares out its own work. Returns the total.
template <typename Work, typename AnyTerm, typename MakeWork, typename Gram>
double run_terms(std::span<const AnyTerm> terms, std::span<const bool> counted,
                 std::span<double> values, Workspace& workspace, MakeWork make_work, Gram gram) {
  WorkspaceScope memory(workspace);
  Values collected(terms.size(), values, memory);
  return call_isolated([&] {
    run_elementwise<Work>(terms, counted, workspace, make_work,
                          [&](std::size_t term, double value) { collected[term] = value; });
    for (std::size_t term = 0; term < terms.size(); ++term) {
      const auto* orthogonal = std::get_if<OrthogonalRegularizer>(&terms[term].regularizer);
      if (orthogonal == nullptr || !counted[term]) continue;
      collected[term] = gram(*orthogonal, term);
    }
    return collected.total();
  });
}

double differentiate(std::span<const GradientTerm> terms, double scale, std::span<double> values,
                     bool accumulate, Workspace* workspace) {
  Workspace own;
  Workspace& used = workspace != nullptr ? *workspace : own;
  WorkspaceScope memory(used);
  const std::span<Place> places = places_of(terms, memory);
  const auto counted = find_counted<GradientTerm>(terms, places, memory);
  check_terms(terms, [&](std::size_t term) {
    check_penalty(terms[term].regularizer, terms[term].x);
    if (counted[term] || !accumulate) check_gradient(terms[term].x, terms[term].gradient);
  });
  const auto concerned = keep_places(places, [&](const Place& place) {
    return counted[place.term] || (!accumulate && place.written);
  });
  check_apart(concerned, memory, [&](const Place& written, const Place& other) {
    const GradientTerm& term = terms[other.term];
    return overlap(other.written ? ConstView(term.gradient) : term.x, terms[written.term].gradient);
  });
  const double total = run_terms<ElementwiseGradient>(
      terms, counted, values, used,
      [&](const ElementwiseFactors& factors, std::size_t term) {
        return ElementwiseGradient(factors, terms[term].x, terms[term].gradient, scale, accumulate);
      },
      [&](const OrthogonalRegularizer& regularizer, std::size_t term) {
        return gram_gradient(regularizer, terms[term].x, terms[term].gradient, scale, accumulate,
                             &used);
      });
  for (std::size_t term = 0; term < terms.size() && !accumulate; ++term) {
    const auto factors = elementwise_factors(terms[term].regularizer);
    if (!counted[term] || (factors && is_zero(*factors))) fill(terms[term].gradient, 0);
  }
  return total;
}

}  // namespace

double value(std::span<const Term> terms, std::span<double> values, Workspace* workspace) {
  Workspace own;
  Workspace& used = workspace != nullptr ? *workspace : own;
  WorkspaceScope memory(used);
  check_terms(terms,
              [&](std::size_t term) { check_penalty(terms[term].regularizer, terms[term].x); });
  const auto counted = find_counted<Term>(terms, places_of(terms, memory), memory);
  return run_terms<ElementwiseValue>(
      terms, counted, values, used,
      [&](const ElementwiseFactors& factors, std::size_t term) {
        return ElementwiseValue(factors, terms[term].x);
      },
      [&](const OrthogonalRegularizer& regularizer, std::size_t term) {
        return gram_value(regularizer, terms[term].x, &used);
      });
}

double accumulate_grad(std::span<const GradientTerm> terms, double scale, std::span<double> values,
                       Workspace* workspace) {
  return differentiate(terms, scale, values, true, workspace);
}

double value_and_grad(std::span<const GradientTerm> terms, double scale, std::span<double> values,
                      Workspace* workspace) {
  return differentiate(terms, scale, values, false, workspace);
}

void prox(std::span<const ProxTerm> terms, double step, Workspace* workspace) {
  check_step(step);
  check_terms(terms,
              [&](std::size_t term) { check_prox(terms[term].regularizer, terms[term].x, step); });
  Workspace own;
  Workspace& used = workspace != nullptr ? *workspace : own;
  WorkspaceScope memory(used);
  const std::span<Place> places = places_of(terms, memory);
  const auto counted = find_counted<ProxTerm>(terms, places, memory);
  const auto concerned =
      keep_places(places, [&](const Place& place) { return counted[place.term]; });
  for (Place& place : concerned) place.written = true;
  check_apart(concerned, memory, [&](const Place& written, const Place& other) {
    return overlap(terms[other.term].x, terms[written.term].x);
  });
  call_isolated([&] {
    run_elementwise<ElementwiseProx>(
        terms, counted, used,
        [&](const ElementwiseFactors& factors, std::size_t term) {
          return ElementwiseProx(factors, terms[term].x, step);
        },
        [](std::size_t, double) {});
  });
}

}  // namespace taut
