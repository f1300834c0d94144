// What one call has to itself: scratch memory, and the level that it runs at.

#ifndef TAUT_RUN_CALL_HPP_
#define TAUT_RUN_CALL_HPP_

#include <array>
#include <cstddef>
#include <optional>

#include "kernels/kernels.hpp"
#include "run/arena.hpp"
#include "taut/workspace.hpp"

namespace taut {

class Call final : private Lender {
 public:
  // Takes memory from the workspace if there is one, and a little of its own before: a small
  // elementwise call needs no more. Throws InvalidArgument for a TAUT_SIMD that names no level.
  explicit Call(Workspace* workspace);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  Arena& arena() const { return arena_; }
  const Kernels& kernels() const { return kernels_; }

 private:
  Arena& lend() override;

  const Kernels& kernels_;
  Workspace* workspace_;
  std::optional<ArenaLease> lease_;
  Arena* lent_ = nullptr;
  alignas(kCacheLine) std::array<std::byte, 768> front_;
  mutable Arena arena_;
};

}  // namespace taut

#endif  // TAUT_RUN_CALL_HPP_
