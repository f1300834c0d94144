#include "run/call.hpp"

#include <utility>

#include "run/level.hpp"
#include "taut/runtime.hpp"

namespace taut {

Call::Call(Workspace* workspace)
    : kernels_(active_kernels()), workspace_(workspace), arena_(front_, *this) {}

Call::~Call() {
  if (lent_ != nullptr) lent_->rewind();
}

Arena& Call::lend() {
  if (lent_ == nullptr) {
    if (workspace_ == nullptr) {
      lent_ = &lease_.emplace().arena();
    } else {
      if (workspace_->arena_ == nullptr) workspace_->arena_ = new Arena;
      lent_ = workspace_->arena_;
    }
  }
  return *lent_;
}

Workspace::Workspace(Workspace&& other) noexcept : arena_(std::exchange(other.arena_, nullptr)) {}

Workspace& Workspace::operator=(Workspace&& other) noexcept {
  Workspace moved(std::move(other));
  std::swap(arena_, moved.arena_);
  return *this;
}

Workspace::~Workspace() { clear(); }

std::size_t Workspace::size() const { return arena_ == nullptr ? 0 : arena_->size(); }

void Workspace::clear() { delete std::exchange(arena_, nullptr); }

void trim_memory() noexcept { trim_arenas(); }

}  // namespace taut
