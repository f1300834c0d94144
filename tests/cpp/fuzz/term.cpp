#include "term.hpp"

#include <cmath>
#include <limits>
#include <variant>

namespace taut_test {
namespace {

bool is_factor(double factor) { return std::isfinite(factor) && factor >= 0; }

bool is_matrix(const Shape& shape, bool flatten) {
  return flatten ? shape.size() >= 2 : shape.size() == 2;
}

bool is_step_allowed(const taut::Regularizer& regularizer, double step) {
  return std::visit(
      Overloaded{[](const taut::OrthogonalRegularizer&) { return false; },
                 [](const taut::SoftOrthogonalRegularizer&) { return false; },
                 [&](const taut::L1& r) { return std::isfinite(step * r.l1); },
                 [&](const taut::L2& r) { return std::isfinite(2 * (step * r.l2)); },
                 [&](const taut::L1L2& r) {
                   return std::isfinite(step * r.l1) && std::isfinite(2 * (step * r.l2));
                 },
                 [&](const taut::GroupLasso& r) { return std::isfinite(step * r.factor); }},
      regularizer);
}

bool is_penalty_allowed(const taut::Regularizer& regularizer, const Shape& shape) {
  return std::visit(
      Overloaded{[](const taut::L1& r) { return is_factor(r.l1); },
                 [](const taut::L2& r) { return is_factor(r.l2); },
                 [](const taut::L1L2& r) { return is_factor(r.l1) && is_factor(r.l2); },
                 [&](const taut::GroupLasso& r) { return is_factor(r.factor) && !shape.empty(); },
                 [&](const auto& r) { return is_factor(r.factor) && is_matrix(shape, r.flatten); }},
      regularizer);
}

}  // namespace

double read_factor(Reader& reader) {
  constexpr double kOrdinary[] = {0.5, 1.0, 0.3, 0.01, 0.0, 3.0};
  constexpr double kSpecial[] = {-1.0,
                                 std::numeric_limits<double>::quiet_NaN(),
                                 std::numeric_limits<double>::infinity(),
                                 1e308,
                                 1e-308,
                                 5e-324,
                                 -0.0};
  return reader.rarely(12) ? reader.pick(kSpecial) : reader.pick(kOrdinary);
}

taut::Regularizer read_regularizer(Reader& reader) {
  const std::size_t kind = reader.below(6);
  const double factor = read_factor(reader);
  if (kind == 0) return taut::L1{factor};
  if (kind == 1) return taut::L2{factor};
  if (kind == 2) return taut::L1L2{factor, read_factor(reader)};
  const taut::Mode mode = reader.flag() ? taut::Mode::kColumns : taut::Mode::kRows;
  if (kind == 3) return taut::GroupLasso{factor, mode};
  const bool flatten = reader.rarely(3);
  if (kind == 4) return taut::OrthogonalRegularizer{factor, mode, flatten};
  return taut::SoftOrthogonalRegularizer{factor, mode, !reader.flag(), flatten};
}

std::string text_of(const taut::Regularizer& regularizer) {
  const auto factor_and_mode = [](const char* name, const auto& r) {
    return std::string("taut::") + name + "{.factor = " + text_of(r.factor) +
           ", .mode = taut::Mode::" + (r.mode == taut::Mode::kRows ? "kRows" : "kColumns");
  };
  const auto flatten = [](const auto& r) { return r.flatten ? ", .flatten = true}" : "}"; };
  return std::visit(
      Overloaded{[](const taut::L1& r) { return "taut::L1{" + text_of(r.l1) + "}"; },
                 [](const taut::L2& r) { return "taut::L2{" + text_of(r.l2) + "}"; },
                 [](const taut::L1L2& r) {
                   return "taut::L1L2{" + text_of(r.l1) + ", " + text_of(r.l2) + "}";
                 },
                 [&](const taut::GroupLasso& r) { return factor_and_mode("GroupLasso", r) + "}"; },
                 [&](const taut::OrthogonalRegularizer& r) {
                   return factor_and_mode("OrthogonalRegularizer", r) + flatten(r);
                 },
                 [&](const taut::SoftOrthogonalRegularizer& r) {
                   return factor_and_mode("SoftOrthogonalRegularizer", r) +
                          (r.diagonal ? "" : ", .diagonal = false") + flatten(r);
                 }},
      regularizer);
}

bool is_elementwise(const taut::Regularizer& regularizer) {
  return std::holds_alternative<taut::L1>(regularizer) ||
         std::holds_alternative<taut::L2>(regularizer) ||
         std::holds_alternative<taut::L1L2>(regularizer);
}

bool fits(const Array& gradient, taut::DType dtype, const Shape& shape) {
  const bool is_wider = taut::size_of(dtype) == 2 && gradient.dtype == taut::DType::kFloat32;
  return gradient.shape == shape && (gradient.dtype == dtype || is_wider);
}

bool is_allowed(const Term& term, Task task, double step) {
  if (!is_penalty_allowed(term.regularizer, term.x.shape)) return false;
  if (task == Task::kProx && !is_step_allowed(term.regularizer, step)) return false;
  const Array* written = term.written(task);
  if (written != nullptr && task != Task::kProx) {
    if (!fits(*written, term.x.dtype, term.x.shape) || overlap(*written, term.x)) return false;
  }
  if (written != nullptr && overlaps_itself(*written)) return false;
  for (const std::optional<Array>& side : {term.reference, term.importance}) {
    if (!side) continue;
    const bool has_dtype = side->dtype == term.x.dtype || side->dtype == taut::DType::kFloat32;
    if (!is_elementwise(term.regularizer) || side->shape != term.x.shape || !has_dtype)
      return false;
    if (written != nullptr && overlap(*written, *side)) return false;
  }
  return true;
}

}  // namespace taut_test
