#include "working_memory.hpp"

#include <array>
#include <mutex>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace taut {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

bool is_large(std::size_t bytes) { return bytes >= kHugePage; }

std::align_val_t alignment_of(std::size_t bytes) {
  constexpr std::size_t kCacheLine = 64;
  return std::align_val_t{is_large(bytes) ? kHugePage : kCacheLine};
}

void* allocate(std::size_t bytes) {
  void* memory = ::operator new(bytes, alignment_of(bytes));
#if defined(__linux__)
  if (is_large(bytes)) madvise(memory, bytes, MADV_HUGEPAGE);  // a hint, which may fail
#endif
  return memory;
}

struct Block {
  void* memory = nullptr;
  std::size_t bytes = 0;
};

// Large blocks that nobody uses. Every member may be called from any thread; none ever waits, since
// a forked child may have inherited a lock that nobody will open.
class KeptBlocks {
 public:
  ~KeptBlocks() {
    for (const Block& block : blocks_) ::operator delete(block.memory, alignment_of(block.bytes));
  }

  void* take(std::size_t bytes) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return nullptr;
    for (Block& block : blocks_) {
      if (block.memory != nullptr && block.bytes == bytes) {
        return std::exchange(block, Block{}).memory;
      }
    }
    return nullptr;
  }

  // Keeps the block in the oldest one's place and returns that, if it all stays within the limit;
  // else returns the block itself.
  Block exchange(Block block) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return block;
    std::size_t kept = block.bytes - blocks_[oldest_].bytes;
    for (const Block& other : blocks_) kept += other.bytes;
    if (kept > kMostKept) return block;
    std::swap(block, blocks_[oldest_]);
    oldest_ = (oldest_ + 1) % blocks_.size();
    return block;
  }

 private:
  std::mutex mutex_;
  std::array<Block, 8> blocks_;
  std::size_t oldest_ = 0;
};

KeptBlocks kept_blocks;

}  // namespace

void* allocate_working_memory(std::size_t bytes) {
  if (is_large(bytes)) {
    if (void* memory = kept_blocks.take(bytes)) return memory;
  }
  return allocate(bytes);
}

void release_working_memory(void* memory, std::size_t bytes) noexcept {
  Block block{memory, bytes};
  if (is_large(bytes)) block = kept_blocks.exchange(block);
  if (block.memory != nullptr) ::operator delete(block.memory, alignment_of(block.bytes));
}

}  // namespace taut
