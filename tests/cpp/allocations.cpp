#include "allocations.hpp"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define TAUT_HAS_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#define TAUT_HAS_ADDRESS_SANITIZER __has_feature(address_sanitizer)
#else
#define TAUT_HAS_ADDRESS_SANITIZER 0
#endif

namespace {
std::atomic<std::size_t> allocations{0};
}

namespace taut_test {
std::size_t count_allocations() { return allocations; }
}  // namespace taut_test

#if TAUT_HAS_ADDRESS_SANITIZER

// The sanitizer's functions stand in place of all others, and tell. GCC has no header for this one.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void*,
                                                                           std::size_t),
                                                         void (*freed)(const volatile void*));

[[maybe_unused]] const int hooks = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, std::size_t) { ++allocations; }, [](const volatile void*) {});

#elif defined(__GLIBC__)

// In place of the C library's, also for other libraries; those of C++ end in them.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t bytes) {
  ++allocations;
  return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
  ++allocations;
  return __libc_calloc(count, bytes);
}
void* realloc(void* memory, std::size_t bytes) {
  ++allocations;
  return __libc_realloc(memory, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  ++allocations;
  return __libc_memalign(alignment, bytes);
}
}

#else

namespace {
#if defined(_WIN32)
void* allocate(std::size_t bytes, std::size_t alignment) {
  return _aligned_malloc(bytes, alignment);
}
void deallocate(void* memory) { _aligned_free(memory); }
#else
void* allocate(std::size_t bytes, std::size_t alignment) {
  return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}
void deallocate(void* memory) { std::free(memory); }
#endif

void* counted(std::size_t bytes, std::size_t alignment) {
  ++allocations;
  if (void* memory = allocate(bytes, alignment)) return memory;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { deallocate(memory); }
void operator delete(void* memory, std::size_t) noexcept { deallocate(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { deallocate(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { deallocate(memory); }

#endif
