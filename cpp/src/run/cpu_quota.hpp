// What a container's processor time is limited to.

#ifndef TAUT_RUN_CPU_QUOTA_HPP_
#define TAUT_RUN_CPU_QUOTA_HPP_

#include <optional>
#include <string>

namespace taut {

// The processors whose time the control groups of this process may use, rounded up: the least of
// what its own and those around it say, in Linux's first and second version of them (man 7 cgroups,
// man 5 proc_pid_mountinfo). Nothing where none says so. All files are looked for below `root`,
// which is empty but in tests.
std::optional<int> find_cpu_quota(const std::string& root);

}  // namespace taut

#endif  // TAUT_RUN_CPU_QUOTA_HPP_
