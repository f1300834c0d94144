// Working memory.

#ifndef TAUT_BUFFER_HPP_
#define TAUT_BUFFER_HPP_

#include <cstddef>
#include <memory>

namespace taut {

// Memory aligned to a cache line, not initialized. Large blocks are kept for the next call that
// asks for the same size, since each of their pages would cost a fault again; together they are at
// most kMostKept bytes. Throws std::bad_alloc.
void* allocate_working_memory(std::size_t bytes);
void release_working_memory(void* memory, std::size_t bytes) noexcept;

constexpr std::size_t kMostKept = std::size_t{64} << 20;

// Working memory for `count` numbers.
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t count)
      : data_(static_cast<T*>(allocate_working_memory(count * sizeof(T))),
              Release{count * sizeof(T)}) {}
  T* get() const { return data_.get(); }

 private:
  struct Release {
    std::size_t bytes = 0;
    void operator()(T* data) const { release_working_memory(data, bytes); }
  };
  std::unique_ptr<T, Release> data_;
};

}  // namespace taut

#endif  // TAUT_BUFFER_HPP_
