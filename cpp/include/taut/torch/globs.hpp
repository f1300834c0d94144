// Which names a pattern matches, as in Python's package.

#ifndef TAUT_TORCH_GLOBS_HPP_
#define TAUT_TORCH_GLOBS_HPP_

#include <cstddef>
#include <string>
#include <string_view>

namespace taut::torch::detail {

// The code points of UTF-8, of which '?' and the brackets match one.
inline std::u32string decoded(std::string_view text) {
  std::u32string points;
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if ((byte & 0xC0U) == 0x80U && !points.empty()) {
      points.back() = points.back() << 6U | (byte & 0x3FU);
    } else {
      points.push_back(byte < 0x80U ? byte : byte & (byte < 0xE0U ? 0x1FU : 0x0FU));
    }
  }
  return points;
}

// Where the bracket that opens at `begin` closes, or npos: then it stands for itself.
inline std::size_t end_of_bracket(std::u32string_view glob, std::size_t begin) {
  std::size_t first = begin + 1;
  if (first < glob.size() && glob[first] == U'!') ++first;
  return glob.find(U']', first + 1);  // one that stands first is a member
}

// Whether a bracket's inside, without its '!', has a code point as a member or in a range.
inline bool contains(std::u32string_view members, char32_t point) {
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (i + 2 < members.size() && members[i + 1] == U'-') {
      if (members[i] <= point && point <= members[i + 2]) return true;
      i += 2;
    } else if (members[i] == point) {
      return true;
    }
  }
  return false;
}

// Whether the glob matches the whole name: '*' any code points, dots and slashes too, '?' one of
// them, '[...]' one of a set and '[!...]' one that is not in it, as Python's fnmatchcase does.
inline bool matches_glob(std::u32string_view name, std::u32string_view glob) {
  std::size_t place = 0;  // in the name
  std::size_t next = 0;   // in the glob
  std::size_t star = std::u32string_view::npos;
  std::size_t retry = 0;  // where the rest after that star is tried next
  // Nothing closes a bracket behind the last one that could; else each would look for it anew.
  const std::size_t last = glob.rfind(U']');
  const std::size_t end_of_brackets = last == std::u32string_view::npos ? 0 : last;
  while (place < name.size() || next < glob.size()) {
    if (next < glob.size() && glob[next] == U'*') {
      star = next++;
      retry = place + 1;
      continue;
    }
    if (next < glob.size() && place < name.size()) {
      bool fits = glob[next] == U'?' || glob[next] == name[place];
      std::size_t after = next + 1;
      if (glob[next] == U'[' && next < end_of_brackets) {
        const std::size_t end = end_of_bracket(glob, next);
        if (end != std::u32string_view::npos) {
          const bool is_negated = glob[next + 1] == U'!';
          const std::size_t first = next + 1 + (is_negated ? 1 : 0);
          fits = contains(glob.substr(first, end - first), name[place]) != is_negated;
          after = end + 1;
        }
      }
      if (fits) {
        ++place;
        next = after;
        continue;
      }
    }
    if (star == std::u32string_view::npos || retry > name.size()) return false;
    place = retry++;
    next = star + 1;
  }
  return true;
}

// Whether a pattern is a name, brackets and all, or a glob that matches it.
inline bool matches(std::string_view name, std::string_view pattern) {
  return name == pattern || matches_glob(decoded(name), decoded(pattern));
}

}  // namespace taut::torch::detail

#endif  // TAUT_TORCH_GLOBS_HPP_
