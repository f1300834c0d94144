// Working memory that a caller owns.

#ifndef TAUT_WORKSPACE_HPP_
#define TAUT_WORKSPACE_HPP_

#include <cstddef>

#include "taut/api.hpp"

namespace taut {

class Arena;

// What calls work in. It grows to what the largest call needs and is kept from call to call, so
// that a training step which is repeated allocates no memory. It changes no result. One call at a
// time may use it. It may be a static object, and be moved; what was moved from is empty.
//
// Calls without a workspace work in memory that the process keeps: see trim_memory in runtime.hpp.
class TAUT_API Workspace {
 public:
  constexpr Workspace() noexcept = default;
  ~Workspace();
  Workspace(Workspace&& other) noexcept;
  Workspace& operator=(Workspace&& other) noexcept;

  std::size_t size() const;  // bytes
  void clear();              // gives all of them back

 private:
  friend class Call;

  Arena* arena_ = nullptr;
};

}  // namespace taut

#endif  // TAUT_WORKSPACE_HPP_
