#include "run/environment.hpp"

#include <charconv>
#include <limits>
#include <system_error>

namespace taut {
namespace {

constexpr std::string_view kSpaces = " \t\n\v\f\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) + 1 - begin);
}

// All of the text is a number above 0.
template <typename Number>
std::optional<Number> parse_positive(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  Number number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || number <= 0) return std::nullopt;
  return number;
}

}  // namespace

std::optional<int> parse_num_threads(std::string_view text) {
  std::optional<int> first;
  for (std::size_t comma = 0; comma != std::string_view::npos;) {
    comma = text.find(',');
    const std::optional<int> number = parse_positive<int>(text.substr(0, comma));
    if (!number) return std::nullopt;
    if (!first) first = number;
    if (comma != std::string_view::npos) text.remove_prefix(comma + 1);
  }
  return first;
}

std::optional<std::size_t> parse_stack_size(std::string_view text) {
  constexpr std::string_view kUnits = "BKMG";  // each 1024 of the one before
  text = trimmed(text);
  int kibi = 1;
  if (!text.empty()) {
    const char last = text.back() >= 'a' ? static_cast<char>(text.back() - 'a' + 'A') : text.back();
    if (const std::size_t unit = kUnits.find(last); unit != std::string_view::npos) {
      kibi = static_cast<int>(unit);
      text.remove_suffix(1);
    }
  }
  const auto number = parse_positive<std::size_t>(text);
  const int shift = 10 * kibi;
  if (!number || *number > std::numeric_limits<std::size_t>::max() >> shift) return std::nullopt;
  return *number << shift;
}

}  // namespace taut
