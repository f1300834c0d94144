// The threads that this process has, as its system counts them.

#ifndef TAUT_TESTS_THREADS_OF_PROCESS_HPP_
#define TAUT_TESTS_THREADS_OF_PROCESS_HPP_

#include <set>

#if defined(__linux__)
#include <dirent.h>

#include <cstdlib>
#elif defined(_WIN32)
#if !defined(NOMINMAX)
#define NOMINMAX
#endif
// clang-format off: the first declares what the second needs
#include <windows.h>
#include <tlhelp32.h>
// clang-format on
#endif

#include "catch2.hpp"

namespace taut_test {

#if defined(__linux__)
#define TAUT_KNOWS_THREADS_OF_PROCESS
inline std::set<unsigned long> threads_of_process() {
  std::set<unsigned long> threads;
  DIR* directory = opendir("/proc/self/task");
  REQUIRE(directory != nullptr);
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] != '.') threads.insert(std::strtoul(entry->d_name, nullptr, 10));
  }
  closedir(directory);
  return threads;
}
#elif defined(_WIN32)
#define TAUT_KNOWS_THREADS_OF_PROCESS
inline std::set<unsigned long> threads_of_process() {
  std::set<unsigned long> threads;
  const HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
  REQUIRE(snapshot != INVALID_HANDLE_VALUE);
  THREADENTRY32 entry{};
  entry.dwSize = sizeof entry;
  for (BOOL more = Thread32First(snapshot, &entry); more; more = Thread32Next(snapshot, &entry)) {
    if (entry.th32OwnerProcessID == GetCurrentProcessId()) threads.insert(entry.th32ThreadID);
  }
  CloseHandle(snapshot);
  return threads;
}
#endif

}  // namespace taut_test

#endif  // TAUT_TESTS_THREADS_OF_PROCESS_HPP_
