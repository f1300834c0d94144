// What taut/torch.hpp has, as operators and a class of torch's, so that tests in Python call it
// with tensors of every kind.

#include <taut/torch.hpp>
// It compiles alone, and twice.
#include <torch/library.h>

#include <stdexcept>
#include <string>
#include <taut/torch.hpp>
#include <tuple>
#include <utility>
#include <vector>

namespace {

using taut::Mode;
using Tensors = std::vector<at::Tensor>;
using Numbers = std::vector<double>;
using Strings = std::vector<std::string>;

// Of a class of Python's and its factors and options, as numbers.
taut::Regularizer regularizer_of(const std::string& name, at::ArrayRef<double> factors) {
  const auto mode = [&] { return factors.at(1) == 0 ? Mode::kRows : Mode::kColumns; };
  if (name == "L1") return taut::L1{factors.at(0)};
  if (name == "L2") return taut::L2{factors.at(1)};
  if (name == "L1L2") return taut::L1L2{factors.at(0), factors.at(1)};
  if (name == "OrthogonalRegularizer") {
    return taut::OrthogonalRegularizer{factors.at(0), mode(), factors.at(2) != 0};
  }
  if (name == "SoftOrthogonalRegularizer") {
    return taut::SoftOrthogonalRegularizer{factors.at(0), mode(), factors.at(2) != 0,
                                           factors.at(3) != 0};
  }
  if (name == "GroupLasso") return taut::GroupLasso{factors.at(0), mode()};
  throw std::invalid_argument("unknown: " + name);
}

double value(const std::string& name, const Numbers& factors, const at::Tensor& x) {
  return taut::value(regularizer_of(name, factors), x);
}

double accumulate_grad(const std::string& name, const Numbers& factors, const at::Tensor& x,
                       const at::Tensor& gradient, double scale) {
  return taut::accumulate_grad(regularizer_of(name, factors), x, gradient, scale);
}

double value_and_grad(const std::string& name, const Numbers& factors, const at::Tensor& x,
                      const at::Tensor& gradient, double scale) {
  return taut::value_and_grad(regularizer_of(name, factors), x, gradient, scale);
}

void prox(const std::string& name, const Numbers& factors, const at::Tensor& x, double step) {
  taut::prox(regularizer_of(name, factors), x, step);
}

at::Tensor penalty(const std::string& name, const Numbers& factors, const at::Tensor& x) {
  return taut::torch::penalty(regularizer_of(name, factors), x);
}

// The same functions of many tensors, by their names; `sides` are references and importances.
Numbers batch(const std::string& function, const std::string& name, const Numbers& factors,
              const Tensors& xs, const Tensors& gradients, const Tensors& references,
              const Tensors& importances, double scale) {
  std::vector<taut::torch::Term> terms;
  std::vector<taut::torch::GradientTerm> gradient_terms;
  for (std::size_t i = 0; i < xs.size(); ++i) {
    const taut::Regularizer regularizer = regularizer_of(name, factors);
    const at::Tensor reference = references.empty() ? at::Tensor() : references[i];
    const at::Tensor importance = importances.empty() ? at::Tensor() : importances[i];
    terms.push_back({regularizer, xs[i], reference, importance});
    if (gradients.empty()) continue;
    gradient_terms.push_back({regularizer, xs[i], gradients[i], reference, importance});
  }
  Numbers values(xs.size());
  if (function == "value") taut::value(terms, values);
  if (function == "accumulate_grad") taut::accumulate_grad(gradient_terms, scale, values);
  if (function == "value_and_grad") taut::value_and_grad(gradient_terms, scale, values);
  if (function == "prox") taut::prox(terms, scale);
  return values;
}

bool uses_cxx11_abi() { return _GLIBCXX_USE_CXX11_ABI != 0; }

bool matches(const std::string& name, const std::string& pattern) {
  return taut::torch::detail::matches(name, pattern);
}

struct Penalties : torch::CustomClassHolder {
  // Four factors for each rule; a name of "" is no penalty.
  Penalties(const Strings& patterns, const Strings& classes, const Numbers& factors,
            const Strings& names, const Tensors& tensors, bool allow_unused, bool match_all)
      : penalties(rules_of(patterns, classes, factors), parameters_of(names, tensors),
                  {.allow_unused = allow_unused, .match_all = match_all}) {}

  static std::vector<taut::torch::Rule> rules_of(const Strings& patterns, const Strings& classes,
                                                 const Numbers& factors) {
    std::vector<taut::torch::Rule> rules;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      rules.push_back({patterns[i], {}});
      if (classes[i].empty()) continue;
      rules[i].regularizer = regularizer_of(classes[i], {factors.data() + 4 * i, 4});
    }
    return rules;
  }

  static taut::torch::NamedTensors parameters_of(const Strings& names, const Tensors& tensors) {
    taut::torch::NamedTensors parameters;
    for (std::size_t i = 0; i < names.size(); ++i) parameters.emplace_back(names[i], tensors[i]);
    return parameters;
  }

  double value() { return penalties.value(); }
  double accumulate_grad(double scale) { return penalties.accumulate_grad(scale); }
  void prox(double step) { penalties.prox(step); }
  at::Tensor penalty() { return penalties.penalty(); }
  std::tuple<Strings, Numbers> breakdown() {
    std::tuple<Strings, Numbers> lists;
    for (const auto& [name, penalty] : penalties.breakdown()) {
      std::get<0>(lists).push_back(name);
      std::get<1>(lists).push_back(penalty);
    }
    return lists;
  }
  void set_l2(const std::string& pattern, double l2) {
    penalties.regularizer(pattern) = taut::L2{l2};
  }

  taut::torch::Penalties penalties;
};

}  // namespace

TORCH_LIBRARY(taut_test, library) {
  library.def("value", value);
  library.def("accumulate_grad", accumulate_grad);
  library.def("value_and_grad", value_and_grad);
  library.def("prox", prox);
  library.def("penalty", penalty);
  library.def("batch", batch);
  library.def("uses_cxx11_abi", uses_cxx11_abi);
  library.def("matches", matches);
  library.class_<Penalties>("Penalties")
      .def(torch::init<Strings, Strings, Numbers, Strings, Tensors, bool, bool>())
      .def("value", &Penalties::value)
      .def("accumulate_grad", &Penalties::accumulate_grad)
      .def("prox", &Penalties::prox)
      .def("penalty", &Penalties::penalty)
      .def("breakdown", &Penalties::breakdown)
      .def("set_l2", &Penalties::set_l2);
}
