#include "run/cpu_quota.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <string_view>
#include <vector>

namespace taut {
namespace {

struct Limit {
  double processors = std::numeric_limits<double>::infinity();

  void lower(double quota, double period) {
    if (quota > 0 && period > 0) processors = std::min(processors, quota / period);
  }
};

bool contains(const std::string& list, std::string_view word) {  // of words between commas
  std::istringstream words(list);
  for (std::string each; std::getline(words, each, ',');) {
    if (each == word) return true;
  }
  return false;
}

// Octal numbers stand for the characters that would end a field: "\040" is a space.
std::string unescaped(const std::string& field) {
  std::string text;
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field[i] == '\\' && i + 3 < field.size()) {
      const auto digit = [&](std::size_t place) { return field[i + place] - '0'; };
      text += static_cast<char>(64 * digit(1) + 8 * digit(2) + digit(3));
      i += 3;
    } else {
      text += field[i];
    }
  }
  return text;
}

// A mounted hierarchy: the second version, or that of the first version's "cpu".
struct Hierarchy {
  bool is_second_version;
  std::string group;  // of the hierarchy, that stands at
  std::string directory;
};

std::vector<Hierarchy> find_hierarchies(const std::string& root) {
  std::vector<Hierarchy> hierarchies;
  std::ifstream mounts(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string skipped, group, directory, type, options;
    fields >> skipped >> skipped >> skipped >> group >> directory;
    while (fields >> skipped && skipped != "-") {
    }
    fields >> type >> skipped >> options;
    const bool is_second_version = type == "cgroup2";
    if (is_second_version || (type == "cgroup" && contains(options, "cpu"))) {
      hierarchies.push_back({is_second_version, unescaped(group), unescaped(directory)});
    }
  }
  return hierarchies;
}

// The group of this process in a version's hierarchy; "/" if it cannot be told.
std::string find_group(const std::string& root, bool is_second_version) {
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // number:controllers:group
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (is_second_version ? controllers.empty() : contains(controllers, "cpu")) {
      return line.substr(second + 1);
    }
  }
  return "/";
}

// Where a group is below the mount of another: "" or "/of/this/kind". In a container the mount may
// begin at its own group, so that no path leads there from above.
std::string below_mount(const std::string& group, const std::string& mounted) {
  const std::string prefix = mounted == "/" ? "" : mounted;
  std::string below = group;
  if (group == prefix || group.starts_with(prefix + "/")) below.erase(0, prefix.size());
  if (below == "/" || !below.starts_with('/')) below.clear();
  return below;
}

void lower_by_group(const std::string& directory, bool is_second_version, Limit& limit) {
  double quota = 0, period = 0;
  if (is_second_version) {
    std::ifstream file(directory + "/cpu.max");
    if (file >> quota >> period) limit.lower(quota, period);  // "max" is no number
  } else if (std::ifstream(directory + "/cpu.cfs_quota_us") >> quota &&
             std::ifstream(directory + "/cpu.cfs_period_us") >> period) {
    limit.lower(quota, period);  // -1 is no limit
  }
}

}  // namespace

std::optional<int> find_cpu_quota(const std::string& root) {
  Limit limit;
  for (const Hierarchy& hierarchy : find_hierarchies(root)) {
    const std::string top = root + hierarchy.directory;
    std::string below = below_mount(find_group(root, hierarchy.is_second_version), hierarchy.group);
    for (;;) {
      lower_by_group(top + below, hierarchy.is_second_version, limit);
      if (below.empty()) break;
      below.erase(below.rfind('/'));
    }
  }
  if (!(limit.processors < std::numeric_limits<int>::max())) return std::nullopt;
  return static_cast<int>(std::ceil(limit.processors));
}

}  // namespace taut
