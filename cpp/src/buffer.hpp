// Working memory.

#ifndef TAUT_BUFFER_HPP_
#define TAUT_BUFFER_HPP_

#include <cstddef>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace taut {

// Memory for `count` numbers, aligned to a cache line and not initialized. Large ones ask for huge
// pages: working memory is new in every call, and each page of it costs a fault.
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t count) {
    const std::size_t bytes = count * sizeof(T);
    const std::align_val_t alignment{bytes >= kLarge ? kHugePage : kCacheLine};
    data_ = {static_cast<T*>(::operator new(bytes, alignment)), Deleter{alignment}};
#if defined(__linux__)
    if (bytes >= kLarge) madvise(data_.get(), bytes, MADV_HUGEPAGE);  // a hint: it may fail
#endif
  }
  T* get() const { return data_.get(); }

 private:
  static constexpr std::size_t kCacheLine = 64;
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;
  static constexpr std::size_t kLarge = 2 * kHugePage;

  struct Deleter {
    std::align_val_t alignment{kCacheLine};
    void operator()(T* data) const { ::operator delete(data, alignment); }
  };
  std::unique_ptr<T, Deleter> data_;
};

}  // namespace taut

#endif  // TAUT_BUFFER_HPP_
