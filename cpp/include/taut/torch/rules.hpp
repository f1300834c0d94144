// Which parameter gets which penalty.

#ifndef TAUT_TORCH_RULES_HPP_
#define TAUT_TORCH_RULES_HPP_

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "taut/error.hpp"
#include "taut/regularizers.hpp"
#include "taut/torch/globs.hpp"

namespace taut::torch {

// A pattern of names, and the penalty of the parameters that it matches; std::nullopt for none.
//
// A pattern is a name, brackets and all, or a glob: '*' stands for any characters, '.' too, '?' for
// one, '[...]' for one of some and '[!...]' for one of all others.
struct Rule {
  std::string pattern;
  std::optional<Regularizer> regularizer;
};

struct RuleOptions {
  // Whether a rule may match no parameter, or only what rules before it have taken. Else that is
  // an InvalidArgument, since it is most often a misspelt name.
  bool allow_unused = false;
  // Whether a parameter that no rule matches is an InvalidArgument.
  bool match_all = false;
};

namespace detail {

template <typename Strings>
std::string list_of(const Strings& strings) {
  std::string text = "[";
  for (const std::string& each : strings) text += (text.size() > 1 ? ", '" : "'") + each + "'";
  return text + "]";
}

// The place of the first rule that matches each name, none for a name that no rule matches.
inline std::vector<std::optional<std::size_t>> first_matches(const std::vector<Rule>& rules,
                                                             const std::vector<std::string>& names,
                                                             const RuleOptions& options) {
  std::vector<bool> is_first(rules.size());  // for a name
  std::vector<bool> is_matching(rules.size());
  std::vector<std::string> unmatched;
  std::vector<std::optional<std::size_t>> places;
  for (const std::string& name : names) {
    std::optional<std::size_t> first;
    for (std::size_t i = 0; i < rules.size(); ++i) {
      if (!matches(name, rules[i].pattern)) continue;
      if (!first) first = i;
      is_matching[i] = true;
    }
    if (first) {
      is_first[*first] = true;
    } else {
      unmatched.push_back(name);
    }
    places.push_back(first);
  }
  std::set<std::string> unused;   // that match no name
  std::set<std::string> covered;  // whose names were taken by rules before them
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (!is_first[i]) (is_matching[i] ? covered : unused).insert(rules[i].pattern);
  }
  if (!unused.empty() && !options.allow_unused) {
    throw InvalidArgument("These rules match no parameter: " + list_of(unused) +
                          ". Known parameters: " + list_of(names) +
                          ". Set allow_unused where that may be.");
  }
  if (!covered.empty() && !options.allow_unused) {
    throw InvalidArgument(
        "All that these rules match was taken by rules before them: " + list_of(covered) +
        ". The first rule that matches counts: put them before. Set allow_unused "
        "where that may be.");
  }
  if (!unmatched.empty() && options.match_all) {
    throw InvalidArgument("No rule matches these parameters: " + list_of(unmatched) +
                          ". Give them a rule, with std::nullopt for no penalty.");
  }
  return places;
}

}  // namespace detail
}  // namespace taut::torch

#endif  // TAUT_TORCH_RULES_HPP_
