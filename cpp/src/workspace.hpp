// Takes memory from a workspace.

#ifndef TAUT_WORKSPACE_SCOPE_HPP_
#define TAUT_WORKSPACE_SCOPE_HPP_

#include <cstddef>
#include <span>
#include <type_traits>

#include "taut/workspace.hpp"

namespace taut {

// What is taken in a scope is the caller's until the scope ends; scopes end in reverse order.
//
// The blocks of a workspace are a stack: whatever is taken as the i-th lies in the i-th block,
// which grows to the largest that was ever asked of it. So calls that ask for the same sizes in the
// same order find all of them there from the second time on.
class WorkspaceScope {
 public:
  explicit WorkspaceScope(Workspace& workspace)
      : workspace_(workspace), used_before_(workspace.used_) {}
  ~WorkspaceScope() { workspace_.used_ = used_before_; }
  WorkspaceScope(const WorkspaceScope&) = delete;
  WorkspaceScope& operator=(const WorkspaceScope&) = delete;

  // Not initialized, aligned to a cache line. Throws std::bad_alloc.
  template <typename T>
  std::span<T> take(std::size_t count) {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
    return {static_cast<T*>(take_bytes(count * sizeof(T))), count};
  }

 private:
  void* take_bytes(std::size_t bytes);

  Workspace& workspace_;
  std::size_t used_before_;
};

}  // namespace taut

#endif  // TAUT_WORKSPACE_SCOPE_HPP_
