// What it takes to decide where arrays lie: memory, and steps that somebody counts.

#ifndef TAUT_VIEWS_EFFORT_HPP_
#define TAUT_VIEWS_EFFORT_HPP_

#include <cstddef>
#include <limits>
#include <new>
#include <span>
#include <type_traits>

namespace taut {

// The caller's side of a decision. Whoever derives from it says where memory comes from and whether
// to go on; whatever it throws reaches the caller, for whom nothing has changed.
class Effort {
 public:
  // A step takes some nanoseconds.
  explicit Effort(std::size_t steps_between_checks = std::size_t{1} << 20)
      : steps_between_checks_(steps_between_checks) {}
  virtual ~Effort() = default;
  Effort(const Effort&) = delete;
  Effort& operator=(const Effort&) = delete;

  // Not initialized; stays until the decision has been made.
  template <typename T>
  std::span<T> take(std::size_t count) {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
    if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_alloc();
    return {static_cast<T*>(take_bytes(count * sizeof(T))), count};
  }

  void spend(std::size_t steps) {
    spent_ += steps;
    if (spent_ < steps_between_checks_) return;
    const std::size_t spent = spent_;
    spent_ = 0;
    check(spent);
  }

 private:
  // Aligned as std::malloc aligns. The sizes asked for follow from the arrays alone, so that a
  // decision that is made again finds its memory where it was.
  virtual void* take_bytes(std::size_t bytes) = 0;
  // Called after each so many steps, also of several decisions.
  virtual void check(std::size_t steps) = 0;

  std::size_t steps_between_checks_;
  std::size_t spent_ = 0;
};

}  // namespace taut

#endif  // TAUT_VIEWS_EFFORT_HPP_
