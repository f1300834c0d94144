// What run/team.cpp needs of those that have the threads. One file implements it, which CMake
// chooses by TAUT_THREADS: team_openmp.cpp, team_dispatch.cpp, team_windows.cpp or team_serial.cpp.

#ifndef TAUT_RUN_TEAM_BACKEND_HPP_
#define TAUT_RUN_TEAM_BACKEND_HPP_

#include <cstddef>
#include <string_view>

#include "run/team.hpp"

namespace taut::backend {

// The processors that the system lets this process use, at least 1; and where it says so.
int count_processors();
extern const std::string_view kProcessorsOrigin;

// The most threads that whoever shares these threads with taut has asked for, by now.
int count_told();
extern const std::string_view kToldOrigin;

// Whether the calling thread is in a parallel region that taut did not begin.
bool is_in_region();

// Makes `threads` threads ready for this calling thread, itself among them; returns how many there
// are. Costs nothing where they are ready already.
std::size_t prepare(std::size_t threads);

// As run_team, with a team that was prepared; but a late worker may be called, and is to see that
// it is late.
void run(std::size_t threads, std::size_t workers, TeamFunction function, void* context);

}  // namespace taut::backend

#endif  // TAUT_RUN_TEAM_BACKEND_HPP_
