// No threads but the caller's.

#include "run/team_backend.hpp"
#include "run/thread_count.hpp"
#include "taut/runtime.hpp"

namespace taut::backend {

const std::string_view kProcessorsOrigin = "a build without threads";
const std::string_view kToldOrigin = "";

int count_processors() { return 1; }
int count_told() { return kMostThreads; }
bool is_in_region() { return false; }
std::size_t prepare(std::size_t) { return 1; }
void run(std::size_t, std::size_t, TeamFunction function, void* context) { function(context, 0); }

}  // namespace taut::backend
