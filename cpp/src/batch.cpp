#include "taut/batch.hpp"

#include <algorithm>
#include <optional>
#include <type_traits>
#include <vector>

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

struct Place {
  Extent extent;
  std::size_t term;
  bool written;

  bool operator<(const Place& other) const {
    if (extent.begin != other.extent.begin) return extent.begin < other.extent.begin;
    if (extent.end != other.extent.end) return extent.end < other.extent.end;
    return term < other.term;
  }
};

// Where the terms' arrays are, and the gradients of those that have one, in the order of memory.
template <typename AnyTerm>
std::vector<Place> places_of(std::span<const AnyTerm> terms) {
  constexpr bool kHasGradient = std::is_same_v<AnyTerm, GradientTerm>;
  std::vector<Place> places;
  places.reserve(terms.size() * (kHasGradient ? 2 : 1));
  for (std::size_t term = 0; term < terms.size(); ++term) {
    places.push_back({extent_of(terms[term].x), term, false});
    if constexpr (kHasGradient) places.push_back({extent_of(terms[term].gradient), term, true});
  }
  std::sort(places.begin(), places.end());
  return places;
}

// Whether two views of one extent are of the very same elements, in whatever order.
bool is_same_memory(const ConstView& x, const ConstView& y) {
  if (x.dtype() != y.dtype() || x.size() != y.size() || x.size() == 0) return false;
  const Layout<1> a = layout_of(x);
  const Layout<1> b = layout_of(y);
  if (a.rank != b.rank) return false;
  for (std::size_t axis = 0; axis < a.rank; ++axis) {
    if (a.extents[axis] != b.extents[axis] || a.strides[0][axis] != b.strides[0][axis])
      return false;
  }
  return true;
}

// Which terms count: all but those whose x has appeared before.
template <typename AnyTerm>
std::vector<char> find_counted(std::span<const AnyTerm> terms, const std::vector<Place>& places) {
  std::vector<char> counted(terms.size(), 1);
  for (std::size_t i = 1; i < places.size(); ++i) {
    if (places[i].written) continue;
    const auto [begin, end] = places[i].extent;
    for (std::size_t j = i; j-- > 0;) {  // those of the same extent stand side by side
      if (places[j].extent.begin != begin || places[j].extent.end != end) break;
      if (!places[j].written && is_same_memory(terms[places[j].term].x, terms[places[i].term].x)) {
        counted[places[i].term] = 0;
        break;
      }
    }
  }
  return counted;
}

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

// Throws where memory that one term writes meets another term's, and names the one that writes, or
// the later one where both do. The places are in order and of terms that count; meet(written,
// other) decides for those whose extents meet.
template <typename Meet>
void check_apart(const std::vector<Place>& places, Meet meet) {
  std::vector<Place> open;  // those that reach beyond the place at hand
  for (const Place& place : places) {
    std::erase_if(open, [&](const Place& other) { return !other.extent.meets(place.extent); });
    for (const Place& other : open) {
      if (other.term == place.term || (!other.written && !place.written)) continue;
      if (place.written ? meet(place, other) : meet(other, place)) {
        const std::size_t both = std::max(place.term, other.term);
        throw InvalidTerm(
            place.written && other.written ? both : (place.written ? place : other).term,
            "What is written for one tensor must not overlap another one, nor its gradient: they "
            "share memory");
      }
    }
    open.push_back(place);
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

// Does the elementwise work of all terms that count. make_work(factors, term) returns one term's
// work; add(term, value) is told each term's value.
template <typename Work, typename AnyTerm, typename MakeWork, typename Add>
void run_elementwise(std::span<const AnyTerm> terms, const std::vector<char>& counted,
                     MakeWork make_work, Add add) {
  std::vector<Unit> units;
  std::vector<std::size_t> shares{0};  // where each begins among the units
  std::size_t elements = 0;
  std::size_t in_share = 0;
  for (std::size_t term = 0; term < terms.size(); ++term) {
    const auto factors = elementwise_factors(terms[term].regularizer);
    if (!counted[term] || !factors || is_zero(*factors)) continue;
    const Pieces pieces(terms[term].x.size());
    for (std::size_t piece = 0; piece < pieces.count; ++piece) {
      if (in_share >= kSmallestShare) {
        shares.push_back(units.size());
        in_share = 0;
      }
      units.push_back({term, piece});
      in_share += pieces.end(piece) - pieces.begin(piece);
    }
    elements += pieces.size;
  }
  shares.push_back(units.size());

  std::vector<ElementwiseSums> sums(units.size());
  const double nanoseconds = static_cast<double>(elements) * Work::kNanoseconds +
                             static_cast<double>(units.size()) * kTermNanoseconds;
  const std::size_t count = shares.size() - 1;
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
  Values(std::size_t terms, std::span<double> values) : values_(values) {
    if (!values.empty() && values.size() != terms) {
      throw InvalidArgument("There must be as many values as terms");
    }
    if (values.empty()) {
      own_.resize(terms);
      values_ = own_;
    }
    std::fill(values_.begin(), values_.end(), 0.0);
  }
  double& operator[](std::size_t term) { return values_[term]; }
  double total() const {
    double total = 0;
    for (const double value : values_) total += value;
    return total;
  }

 private:
  std::vector<double> own_;
  std::span<double> values_;
};

// All terms that count: elementwise ones together, orthogonal ones after one another, each of which
// shares out its own work. Returns the total.
template <typename Work, typename AnyTerm, typename MakeWork, typename Gram>
double run_terms(std::span<const AnyTerm> terms, const std::vector<char>& counted,
                 std::span<double> values, MakeWork make_work, Gram gram) {
  Values collected(terms.size(), values);
  return call_isolated([&] {
    run_elementwise<Work>(terms, counted, make_work,
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
                     bool accumulate) {
  std::vector<Place> places = places_of(terms);
  const std::vector<char> counted = find_counted(terms, places);
  check_terms(terms, [&](std::size_t term) {
    check_penalty(terms[term].regularizer, terms[term].x);
    if (counted[term] || !accumulate) check_gradient(terms[term].x, terms[term].gradient);
  });
  std::erase_if(places, [&](const Place& place) {
    return !counted[place.term] && (accumulate || !place.written);
  });
  check_apart(places, [&](const Place& written, const Place& other) {
    const GradientTerm& term = terms[other.term];
    return overlap(other.written ? ConstView(term.gradient) : term.x, terms[written.term].gradient);
  });
  const double total = run_terms<ElementwiseGradient>(
      terms, counted, values,
      [&](const ElementwiseFactors& factors, std::size_t term) {
        return ElementwiseGradient(factors, terms[term].x, terms[term].gradient, scale, accumulate);
      },
      [&](const OrthogonalRegularizer& regularizer, std::size_t term) {
        return gram_gradient(regularizer, terms[term].x, terms[term].gradient, scale, accumulate);
      });
  for (std::size_t term = 0; term < terms.size() && !accumulate; ++term) {
    const auto factors = elementwise_factors(terms[term].regularizer);
    if (!counted[term] || (factors && is_zero(*factors))) fill(terms[term].gradient, 0);
  }
  return total;
}

}  // namespace

double value(std::span<const Term> terms, std::span<double> values) {
  check_terms(terms,
              [&](std::size_t term) { check_penalty(terms[term].regularizer, terms[term].x); });
  return run_terms<ElementwiseValue>(
      terms, find_counted(terms, places_of(terms)), values,
      [&](const ElementwiseFactors& factors, std::size_t term) {
        return ElementwiseValue(factors, terms[term].x);
      },
      [&](const OrthogonalRegularizer& regularizer, std::size_t term) {
        return gram_value(regularizer, terms[term].x);
      });
}

double accumulate_grad(std::span<const GradientTerm> terms, double scale,
                       std::span<double> values) {
  return differentiate(terms, scale, values, true);
}

double value_and_grad(std::span<const GradientTerm> terms, double scale, std::span<double> values) {
  return differentiate(terms, scale, values, false);
}

void prox(std::span<const ProxTerm> terms, double step) {
  check_step(step);
  check_terms(terms,
              [&](std::size_t term) { check_prox(terms[term].regularizer, terms[term].x, step); });
  std::vector<Place> places = places_of(terms);
  const std::vector<char> counted = find_counted(terms, places);
  std::erase_if(places, [&](const Place& place) { return !counted[place.term]; });
  for (Place& place : places) place.written = true;
  check_apart(places, [&](const Place& written, const Place& other) {
    return overlap(terms[other.term].x, terms[written.term].x);
  });
  call_isolated([&] {
    run_elementwise<ElementwiseProx>(
        terms, counted,
        [&](const ElementwiseFactors& factors, std::size_t term) {
          return ElementwiseProx(factors, terms[term].x, step);
        },
        [](std::size_t, double) {});
  });
}

}  // namespace taut
