#include "workspace.hpp"

#include <new>

#include "working_memory.hpp"

namespace taut {

Workspace::~Workspace() { clear(); }

void Workspace::clear() {
  for (Block& block : blocks_) {
    if (block.memory != nullptr) release_working_memory(block.memory, block.bytes);
    block = {};
  }
}

std::size_t Workspace::size() const {
  std::size_t size = 0;
  for (const Block& block : blocks_) size += block.bytes;
  return size;
}

void* WorkspaceScope::take_bytes(std::size_t bytes) {
  if (workspace_.used_ == Workspace::kMostBlocks) throw std::bad_alloc();  // no call takes as many
  Workspace::Block& block = workspace_.blocks_[workspace_.used_];
  if (block.bytes < bytes) {
    // Given back first, so that the two never count together.
    if (block.memory != nullptr) release_working_memory(block.memory, block.bytes);
    block = {};
    block.memory = allocate_working_memory(bytes);
    block.bytes = bytes;
  }
  ++workspace_.used_;
  return block.memory;
}

}  // namespace taut
