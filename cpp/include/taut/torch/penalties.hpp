// The penalties of the parameters of a module, by rules on their names.

#ifndef TAUT_TORCH_PENALTIES_HPP_
#define TAUT_TORCH_PENALTIES_HPP_

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "taut/batch.hpp"
#include "taut/error.hpp"
#include "taut/torch/memory.hpp"
#include "taut/torch/penalty.hpp"
#include "taut/torch/rules.hpp"
#include "taut/workspace.hpp"

namespace taut::torch {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;
using NamedPenalties = std::vector<std::pair<std::string, double>>;

// What Python's `Penalties(rules).bind(module)` is: for each parameter the first rule that matches
// its name counts, and all of them are computed in one call, shared out by size.
//
//   taut::torch::Penalties penalties({{"*.weight", taut::L2{1e-4}}, {"*.bias", std::nullopt}},
//                                    *model);
//   loss.backward();
//   const double total = penalties.accumulate_grad();
//   optimizer.step();
//
// Parameters are those that the module has when this is made, as an optimizer's are: what is
// registered later is not seen, and what `Module::to` moves or casts is. Memory that appears under
// several names counts once, under the first that is not frozen; what is frozen, with
// requires_grad() false, when a call begins, is left out of it.
//
// A mistake is an InvalidArgument whose words begin with the parameter's name, before anything is
// written. value(), accumulate_grad() and prox() keep what they work in, so that a step which is
// repeated allocates nothing but gradients that are not there. One call at a time.
class Penalties {
 public:
  Penalties(std::vector<Rule> rules, const ::torch::nn::Module& module, RuleOptions options = {})
      : Penalties(std::move(rules), parameters_of(module), options) {}

  Penalties(std::vector<Rule> rules, const NamedTensors& parameters, RuleOptions options = {});

  // The sum of all penalties.
  double value();

  // The penalty of each parameter that has one by the rules, in the module's order; 0 for what is
  // left out.
  NamedPenalties breakdown();

  // Adds `scale` times each penalty's gradient to its parameter's grad(), which is made where there
  // is none, and returns the sum of the penalties, not scaled.
  double accumulate_grad(double scale = 1.0);

  // Replaces each parameter that has a penalty by its proximal step.
  void prox(double step);

  // The sum as a 0-d tensor: one node of the graph (see taut/torch/penalty.hpp); float64 if one of
  // the parameters is, else float32.
  at::Tensor penalty();

  // Whose regularizers may be changed between calls, as by a schedule.
  Regularizer& regularizer(const std::string& pattern);

 private:
  struct Entry {
    std::string name;
    at::Tensor x;
    std::size_t rule;        // its place
    std::size_t memory;      // the place of the first entry that has this one's elements
    at::Tensor looked_up{};  // shares x's memory of when that was found out
  };

  static NamedTensors parameters_of(const ::torch::nn::Module& module);

  // Finds the first entry of each memory, which is another one after `Module::to` or `set_data`.
  void find_ties();

  // Finds out who takes part in this call: each memory once, and nothing that is frozen.
  void choose();

  const Regularizer& regularizer_of(const Entry& entry) const {
    return *rules_[entry.rule].regularizer;
  }

  // Calls the core, and names the parameter that is wrong.
  template <typename Call>
  auto call_core(Call call) const {
    try {
      return call();
    } catch (const InvalidTerm& error) {
      throw InvalidArgument(chosen_[error.term()]->name + ": " + error.what());
    }
  }

  std::vector<Rule> rules_;
  std::vector<Entry> entries_;
  Workspace workspace_;
  // Of the latest call; they keep their memory.
  std::vector<const Entry*> chosen_;
  std::vector<bool> is_counted_;
  std::vector<taut::Term> terms_;
  std::vector<taut::GradientTerm> gradient_terms_;
  std::vector<taut::ProxTerm> prox_terms_;
  std::vector<at::Tensor> gradients_;
  std::vector<double> values_;
};

namespace detail {

// What only tensors of the very same elements have in common; none for an empty one.
inline std::optional<std::pair<DType, std::vector<std::uint64_t>>> memory_key(const ConstView& x) {
  std::vector<std::ptrdiff_t> shape;
  std::vector<std::ptrdiff_t> strides;
  for (std::size_t axis = 0; axis < x.rank(); ++axis) {
    shape.push_back(static_cast<std::ptrdiff_t>(x.extent(axis)));
    strides.push_back(x.stride(axis));
  }
  auto key = taut::memory_key(x.data(), size_of(x.dtype()), shape, strides);
  if (key.empty()) return std::nullopt;
  return std::pair(x.dtype(), std::move(key));
}

// As autograd would make it.
template <typename Tensor>
at::Tensor new_gradient(const Tensor& x) {
  const c10::InferenceMode no_inference(false);
  if constexpr (requires { x.grad_dtype(); }) {  // newer LibTorch
    if (x.is_leaf()) {
      if (const auto asked = x.grad_dtype()) return at::zeros_like(x, x.options().dtype(*asked));
    }
  }
  return at::zeros_like(x);
}

}  // namespace detail

inline Penalties::Penalties(std::vector<Rule> rules, const NamedTensors& parameters,
                            RuleOptions options)
    : rules_(std::move(rules)) {
  std::vector<std::string> names;
  for (const auto& [name, x] : parameters) names.push_back(name);
  const auto places = detail::first_matches(rules_, names, options);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!places[i] || !rules_[*places[i]].regularizer) continue;
    const auto& [name, x] = parameters[i];
    entries_.push_back({name, x, *places[i], entries_.size()});
  }
  find_ties();
}

inline void Penalties::find_ties() {
  std::map<std::pair<DType, std::vector<std::uint64_t>>, std::size_t> owners;
  for (std::size_t own = 0; own < entries_.size(); ++own) {
    Entry& entry = entries_[own];
    entry.memory = own;
    entry.looked_up.reset();
    // What is frozen may be of a dtype or layout that has no penalty.
    try {
      const auto key = detail::memory_key(detail::readable(entry.x, entry.name));
      if (key) entry.memory = owners.emplace(*key, own).first->second;
      entry.looked_up = entry.x.detach();
    } catch (const InvalidArgument&) {
      if (!entry.x.defined() || entry.x.requires_grad()) throw;
    }
  }
}

inline NamedTensors Penalties::parameters_of(const ::torch::nn::Module& module) {
  NamedTensors parameters;
  for (const auto& parameter : module.named_parameters()) {
    parameters.emplace_back(parameter.key(), parameter.value());
  }
  return parameters;
}

inline void Penalties::choose() {
  const bool is_known = std::all_of(entries_.begin(), entries_.end(), [](const Entry& entry) {
    const at::Tensor& before = entry.looked_up;
    if (!before.defined()) return !entry.x.requires_grad();
    return entry.x.is_alias_of(before) && entry.x.storage_offset() == before.storage_offset() &&
           entry.x.sizes() == before.sizes() && entry.x.strides() == before.strides();
  });
  if (!is_known) find_ties();
  chosen_.clear();
  is_counted_.assign(entries_.size(), false);
  for (const Entry& entry : entries_) {
    if (!entry.x.requires_grad() || is_counted_[entry.memory]) continue;
    is_counted_[entry.memory] = true;
    chosen_.push_back(&entry);
  }
}

inline double Penalties::value() {
  choose();
  terms_.clear();
  for (const Entry* entry : chosen_) {
    detail::append(terms_, {regularizer_of(*entry), detail::readable(entry->x, entry->name)});
  }
  values_.resize(terms_.size());
  return call_core([&] { return taut::value(terms_, values_, &workspace_); });
}

inline NamedPenalties Penalties::breakdown() {
  value();
  NamedPenalties penalties;
  std::size_t place = 0;
  for (const Entry& entry : entries_) {
    const bool is_chosen = place < chosen_.size() && chosen_[place] == &entry;
    penalties.emplace_back(entry.name, is_chosen ? values_[place++] : 0);
  }
  return penalties;
}

inline double Penalties::accumulate_grad(double scale) {
  choose();
  gradients_.clear();
  gradient_terms_.clear();
  for (const Entry* entry : chosen_) {
    const at::Tensor& own = entry->x.grad();
    const bool is_there = own.defined() && !own._is_zerotensor();
    gradients_.push_back(is_there ? own : detail::new_gradient(entry->x));
    detail::append(gradient_terms_,
                   {regularizer_of(*entry), detail::readable(entry->x, entry->name),
                    detail::writable(gradients_.back(), entry->name + ": the gradient")});
  }
  const double total = detail::counted(
      [&] {
        return call_core(
            [&] { return taut::accumulate_grad(gradient_terms_, scale, {}, &workspace_); });
      },
      [&] {
        for (const at::Tensor& gradient : gradients_) detail::count_write(gradient);
      });
  for (std::size_t i = 0; i < chosen_.size(); ++i) chosen_[i]->x.mutable_grad() = gradients_[i];
  gradients_.clear();  // which an optimizer may want to let go
  return total;
}

inline void Penalties::prox(double step) {
  choose();
  prox_terms_.clear();
  for (const Entry* entry : chosen_) {
    detail::append(prox_terms_, {regularizer_of(*entry), detail::writable(entry->x, entry->name)});
  }
  detail::counted([&] { call_core([&] { taut::prox(prox_terms_, step, &workspace_); }); },
                  [&] {
                    for (const Entry* entry : chosen_) detail::count_write(entry->x);
                  });
}

inline at::Tensor Penalties::penalty() {
  choose();
  std::vector<Regularizer> regularizers;
  std::vector<at::Tensor> tensors;
  for (const Entry* entry : chosen_) {
    detail::readable(entry->x, entry->name);  // or it is no tensor that a node can keep
    regularizers.push_back(regularizer_of(*entry));
    tensors.push_back(entry->x);
  }
  return call_core([&] {
    return detail::Total::apply(c10::make_intrusive<detail::Regularizers>(std::move(regularizers)),
                                false, at::TensorList(tensors));
  });
}

inline Regularizer& Penalties::regularizer(const std::string& pattern) {
  for (Rule& rule : rules_) {
    if (rule.pattern == pattern && rule.regularizer) return *rule.regularizer;
  }
  throw InvalidArgument("There is no penalty for '" + pattern + "' among the rules");
}

}  // namespace taut::torch

#endif  // TAUT_TORCH_PENALTIES_HPP_
