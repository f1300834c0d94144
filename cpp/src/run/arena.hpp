// Scratch memory that a call takes piece by piece and gives back all at once.

#ifndef TAUT_RUN_ARENA_HPP_
#define TAUT_RUN_ARENA_HPP_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace taut {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kMostMemory = std::size_t{1} << 47;  // bytes that a process can address

constexpr std::size_t divide_up(std::size_t number, std::size_t divisor) {
  return number / divisor + (number % divisor != 0);
}

// The product, or std::bad_alloc where it is beyond what memory can have: so that no size that is
// multiplied on the way to an allocation wraps around.
template <typename... Factors>
std::size_t checked_product(std::size_t first, Factors... factors) {
  auto product = static_cast<std::ptrdiff_t>(first);
  bool is_beyond = product < 0;
  ((is_beyond |= __builtin_mul_overflow(product, factors, &product)), ...);
  if (is_beyond) throw std::bad_alloc();
  return static_cast<std::size_t>(product);
}

inline std::size_t checked_sum(std::size_t a, std::size_t b) {
  if (a > std::numeric_limits<std::ptrdiff_t>::max() - b) throw std::bad_alloc();
  return a + b;
}

// Throws std::bad_alloc for what is beyond what memory can have.
inline std::size_t round_up_to_cache_line(std::size_t bytes) {
  return checked_sum(bytes, kCacheLine - 1) / kCacheLine * kCacheLine;
}

class Arena;

// Knows an arena that another one may go on in.
class Lender {
 public:
  virtual Arena& lend() = 0;  // throws std::bad_alloc

 protected:
  ~Lender() = default;
};

// Memory in chunks that do not move. It keeps its chunks when it is rewound, so that calls which
// take the same sizes in the same order allocate nothing from the second one on.
class Arena {
 public:
  Arena() = default;
  // Takes from `front`, which may be on the stack, and what does not fit from the lender's arena.
  Arena(std::span<std::byte> front, Lender& lender)
      : next_(front.data()), left_(front.size()), lender_(&lender) {}
  ~Arena() { clear(); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Not initialized, aligned to a cache line, the caller's until rewind(). Throws std::bad_alloc.
  template <typename T>
  std::span<T> take(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    return {static_cast<T*>(take_bytes(checked_product(count, sizeof(T)))), count};
  }
  template <typename T, typename... Arguments>
  T& make(Arguments&&... arguments) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= kCacheLine);
    return *new (take_bytes(sizeof(T))) T(std::forward<Arguments>(arguments)...);
  }

  void rewind();
  void clear();  // rewinds, and gives the chunks back

  std::size_t size() const { return size_; }  // bytes of all chunks
  // By one call, in bytes, since this was last forgotten.
  std::size_t most_used() const { return most_used_; }
  void forget_most_used() { most_used_ = 0; }

 private:
  struct Chunk {
    Chunk* next;
    std::size_t bytes;  // this header's among them
  };

  void* take_bytes(std::size_t bytes) {
    bytes = round_up_to_cache_line(bytes);
    if (bytes > left_) {
      if (lender_ != nullptr) return lender_->lend().take_bytes(bytes);
      go_to_next_chunk(bytes);
    }
    void* taken = next_;
    next_ += bytes;
    left_ -= bytes;
    return taken;
  }
  void go_to_next_chunk(std::size_t bytes);
  std::size_t used() const;
  Chunk& next_chunk(std::size_t bytes);
  void release_after(Chunk* chunk);

  Chunk* first_ = nullptr;
  Chunk* current_ = nullptr;   // which is being taken from
  std::byte* next_ = nullptr;  // of the current chunk's bytes that are left
  std::size_t left_ = 0;
  Lender* lender_ = nullptr;
  std::size_t used_before_ = 0;  // bytes of the chunks before it
  std::size_t size_ = 0;
  std::size_t most_used_ = 0;
};

// Memory for one purpose, whose parts are found in a first pass that only counts, and given out in
// a second one over the block that is as large. Both passes take the same sizes in the same order.
class Block {
 public:
  Block() = default;  // counts
  explicit Block(std::byte* begin) : begin_(begin) {}

  // Null while it counts. Aligned to a cache line if the block is.
  template <typename T>
  T* take(std::size_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    T* taken = begin_ == nullptr ? nullptr : reinterpret_cast<T*>(begin_ + used_);
    used_ = checked_sum(used_, round_up_to_cache_line(checked_product(count, sizeof(T))));
    return taken;
  }
  std::size_t used() const { return used_; }  // bytes, a whole number of cache lines

 private:
  std::byte* begin_ = nullptr;
  std::size_t used_ = 0;
};

// What all idle arenas of the process together keep, at most.
constexpr std::size_t kMostKept = std::size_t{64} << 20;

// An arena of the process's that nobody else uses while this lives: the one that this thread used
// last, if it is idle. There are as many as there have been calls at once; what they keep is
// bounded by kMostKept, and what no call has needed for some thousand calls is given back.
//
// Nothing here is destroyed at exit, when other threads may still be in a call, and nothing waits,
// since a forked child may have inherited a lock that nobody will open.
class ArenaLease {
 public:
  ArenaLease();  // throws std::bad_alloc
  ~ArenaLease();
  ArenaLease(const ArenaLease&) = delete;
  ArenaLease& operator=(const ArenaLease&) = delete;

  Arena& arena() const;

  struct Slot;

 private:
  Slot& slot_;
};

// Gives back what idle arenas keep.
void trim_arenas() noexcept;
std::size_t kept_memory();  // bytes of all arenas, as of their last calls

}  // namespace taut

#endif  // TAUT_RUN_ARENA_HPP_
