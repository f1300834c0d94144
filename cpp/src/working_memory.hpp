// Working memory, large or small.

#ifndef TAUT_WORKING_MEMORY_HPP_
#define TAUT_WORKING_MEMORY_HPP_

#include <cstddef>

namespace taut {

// Memory aligned to a cache line, not initialized. Large blocks are kept for the next call that
// asks for the same size, since each of their pages would cost a fault again; together they are at
// most kMostKept bytes. Throws std::bad_alloc.
void* allocate_working_memory(std::size_t bytes);
void release_working_memory(void* memory, std::size_t bytes) noexcept;

constexpr std::size_t kMostKept = std::size_t{64} << 20;

}  // namespace taut

#endif  // TAUT_WORKING_MEMORY_HPP_
