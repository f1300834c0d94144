// One worker's share of the pieces of a round, from which others take when theirs is done.

#ifndef TAUT_RUN_SHARE_HPP_
#define TAUT_RUN_SHARE_HPP_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace taut {

// Each worker begins with a share of its own, so that it meets the same memory in the next call,
// and takes its pieces in order, since neighbours lie side by side. Who has nothing left takes half
// of what another one has left, from the end (Blumofe and Leiserson, 1999; ranges instead of
// deques, as there is nothing to push), so that all end together.
class alignas(64) Share {
 public:
  // By the owner alone, while it is empty.
  void set(std::uint32_t begin, std::uint32_t end) {
    range_.store(pack(begin, end), std::memory_order_relaxed);
  }

  // The owner's next piece; false if there is none.
  bool take(std::uint32_t& piece) {
    std::uint64_t range = range_.load(std::memory_order_relaxed);
    do {
      piece = begin_of(range);
      if (piece >= end_of(range)) return false;
    } while (!range_.compare_exchange_weak(range, pack(piece + 1, end_of(range)),
                                           std::memory_order_relaxed));
    return true;
  }

  // Half of what is left, rounded up; false if there is nothing.
  bool split(std::uint32_t& begin, std::uint32_t& end) {
    std::uint64_t range = range_.load(std::memory_order_relaxed);
    do {
      end = end_of(range);
      if (begin_of(range) >= end) return false;
      begin = end - (end - begin_of(range) + 1) / 2;
    } while (!range_.compare_exchange_weak(range, pack(begin_of(range), begin),
                                           std::memory_order_relaxed));
    return true;
  }

 private:
  // Both ends in one word, so that they change together. A range that has been given away cannot
  // come back while any of it is left to do, so a stale one is never taken for a new one.
  static std::uint64_t pack(std::uint32_t begin, std::uint32_t end) {
    return std::uint64_t{begin} << 32 | end;
  }
  static std::uint32_t begin_of(std::uint64_t range) {
    return static_cast<std::uint32_t>(range >> 32);
  }
  static std::uint32_t end_of(std::uint64_t range) { return static_cast<std::uint32_t>(range); }

  std::atomic<std::uint64_t> range_{0};
};

}  // namespace taut

#endif  // TAUT_RUN_SHARE_HPP_
