// The penalties of many tensors in one call, whose work is shared out over all of them by size.
//
// What is said in penalty.hpp holds here too, and each value and gradient has the bits that a call
// for its tensor alone would give. Everything is checked before anything is written; a mistake in
// one term is an InvalidTerm, which has its index. A term whose x is the very memory of an earlier
// term's is left out: a tied weight counts once.
//
// With a workspace, a batch that is done again allocates no memory.

#ifndef TAUT_BATCH_HPP_
#define TAUT_BATCH_HPP_

#include <span>

#include "taut/api.hpp"
#include "taut/penalty.hpp"
#include "taut/workspace.hpp"

namespace taut {

struct Term {
  Regularizer regularizer;
  ConstView x;
};

struct GradientTerm {
  Regularizer regularizer;
  ConstView x;
  View gradient;
};

struct ProxTerm {
  Regularizer regularizer;
  View x;
};

// The sum of all penalties. `values`, unless empty, has as many elements as there are terms and
// receives the penalty of each, 0 for one that was left out.
TAUT_API double value(std::span<const Term> terms, std::span<double> values = {},
                      Workspace* workspace = nullptr);

// gradient += scale * d(penalty)/dx for every term. A gradient that overlaps another term's
// gradient or x is an InvalidTerm too: the later one, or the one that would be written.
TAUT_API double accumulate_grad(std::span<const GradientTerm> terms, double scale = 1.0,
                                std::span<double> values = {}, Workspace* workspace = nullptr);

// The same, but overwrites the gradients; that of a term that was left out becomes 0.
TAUT_API double value_and_grad(std::span<const GradientTerm> terms, double scale = 1.0,
                               std::span<double> values = {}, Workspace* workspace = nullptr);

// The proximal step of every term.
TAUT_API void prox(std::span<const ProxTerm> terms, double step, Workspace* workspace = nullptr);

}  // namespace taut

#endif  // TAUT_BATCH_HPP_
