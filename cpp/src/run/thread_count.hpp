// How many threads there may be: what the user asked for, or what the process may use; and what of
// it the system could give.

#ifndef TAUT_RUN_THREAD_COUNT_HPP_
#define TAUT_RUN_THREAD_COUNT_HPP_

#include <cstddef>

namespace taut {

// get_num_threads(), or what note_obtainable_threads was told since it was set, whichever is less.
std::size_t count_obtainable_threads();
void note_obtainable_threads(std::size_t threads);

}  // namespace taut

#endif  // TAUT_RUN_THREAD_COUNT_HPP_
