#include "run/arena.hpp"

#include <atomic>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace taut {
namespace {

// Small takes share a chunk, which is the larger the more there are.
constexpr std::size_t kSmallestChunk = std::size_t{64} << 10;
constexpr std::size_t kLargestShared = std::size_t{1} << 20;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::align_val_t alignment_of(std::size_t bytes) {
  return std::align_val_t{bytes >= kHugePage ? kHugePage : kCacheLine};
}

void* allocate(std::size_t bytes) {
  if (bytes > kMostMemory) throw std::bad_alloc();  // a sanitizer would end the process
  void* memory = ::operator new(bytes, alignment_of(bytes));
#if defined(__linux__)
  if (bytes >= kHugePage) madvise(memory, bytes, MADV_HUGEPAGE);  // a hint, which may fail
#endif
  return memory;
}

}  // namespace

void Arena::go_to_next_chunk(std::size_t bytes) {
  static_assert(sizeof(Chunk) <= kCacheLine);
  Chunk& next = next_chunk(bytes);
  used_before_ += used();
  current_ = &next;
  next_ = reinterpret_cast<std::byte*>(current_) + kCacheLine;
  left_ = current_->bytes - kCacheLine;
}

// Bytes of the current chunk.
std::size_t Arena::used() const { return current_ == nullptr ? 0 : current_->bytes - left_; }

// The next one that is large enough, else a new one in place of all that are left, so that they
// never count together.
Arena::Chunk& Arena::next_chunk(std::size_t bytes) {
  Chunk* next = current_ == nullptr ? first_ : current_->next;
  while (next != nullptr && bytes > next->bytes - kCacheLine) next = next->next;
  if (next != nullptr) return *next;
  release_after(current_);
  const std::size_t size = std::max(std::clamp(size_ / 2, kSmallestChunk, kLargestShared),
                                    checked_sum(bytes, kCacheLine));
  next = new (allocate(size)) Chunk{nullptr, size};
  size_ += size;
  return *((current_ == nullptr ? first_ : current_->next) = next);
}

void Arena::rewind() {
  most_used_ = std::max(most_used_, used_before_ + used());
  current_ = nullptr;
  left_ = 0;
  used_before_ = 0;
}

void Arena::clear() {
  rewind();
  release_after(nullptr);
}

void Arena::release_after(Chunk* chunk) {
  Chunk*& link = chunk == nullptr ? first_ : chunk->next;
  for (Chunk* next = std::exchange(link, nullptr); next != nullptr;) {
    Chunk* released = std::exchange(next, next->next);
    size_ -= released->bytes;
    ::operator delete(released, alignment_of(released->bytes));
  }
}

// ---- the arenas of the process -----------------------------------------------------------------

struct ArenaLease::Slot {
  std::atomic<bool> busy{true};
  Slot* next = nullptr;
  // The rest belongs to whoever made it busy.
  Arena arena;
  std::size_t kept = 0;  // as counted in kept_by_all
  unsigned calls = 0;
  bool was_used = true;  // since it was last looked at by a sweep

  bool try_take() { return !busy.exchange(true, std::memory_order_acquire); }
  void give_back() { busy.store(false, std::memory_order_release); }
};

namespace {

using Slot = ArenaLease::Slot;

// Slots are pushed and never taken out: a thread that ends leaves its arena to others.
std::atomic<Slot*> slots{nullptr};
std::atomic<std::size_t> kept_by_all{0};
thread_local Slot* latest = nullptr;

// Every so many calls of an arena, arenas are looked at for what is no longer needed.
constexpr unsigned kCallsBetweenSweeps = 1024;

Slot& take_slot() {
  if (latest != nullptr && latest->try_take()) return *latest;
  for (Slot* slot = slots.load(std::memory_order_acquire); slot != nullptr; slot = slot->next) {
    if (slot->try_take()) return *(latest = slot);
  }
  Slot* slot = new Slot;
  slot->next = slots.load(std::memory_order_relaxed);
  while (!slots.compare_exchange_weak(slot->next, slot, std::memory_order_release,
                                      std::memory_order_relaxed)) {
  }
  return *(latest = slot);
}

void count_kept(Slot& slot) {
  if (slot.arena.size() == slot.kept) return;
  kept_by_all.fetch_add(slot.arena.size() - slot.kept, std::memory_order_relaxed);
  slot.kept = slot.arena.size();
}

void clear(Slot& slot) {
  slot.arena.clear();
  count_kept(slot);
}

// Clears the arenas that were not used since the last sweep, and one's own if most of it was not.
void sweep(Slot& own) {
  if (own.arena.most_used() < own.arena.size() / 4) clear(own);
  own.arena.forget_most_used();
  for (Slot* slot = slots.load(std::memory_order_acquire); slot != nullptr; slot = slot->next) {
    if (slot == &own || !slot->try_take()) continue;
    if (!std::exchange(slot->was_used, false)) clear(*slot);
    slot->give_back();
  }
}

}  // namespace

ArenaLease::ArenaLease() : slot_(take_slot()) {}

ArenaLease::~ArenaLease() {
  slot_.arena.rewind();
  slot_.was_used = true;
  count_kept(slot_);
  if (kept_by_all.load(std::memory_order_relaxed) > kMostKept) clear(slot_);
  if (++slot_.calls % kCallsBetweenSweeps == 0) sweep(slot_);
  slot_.give_back();
}

Arena& ArenaLease::arena() const { return slot_.arena; }

std::size_t kept_memory() { return kept_by_all.load(std::memory_order_relaxed); }

void trim_arenas() noexcept {
  for (Slot* slot = slots.load(std::memory_order_acquire); slot != nullptr; slot = slot->next) {
    if (!slot->try_take()) continue;
    clear(*slot);
    slot->give_back();
  }
}

}  // namespace taut
