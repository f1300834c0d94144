// Which of the compiled levels is in use.

#ifndef TAUT_RUN_LEVEL_HPP_
#define TAUT_RUN_LEVEL_HPP_

#include "kernels/kernels.hpp"

namespace taut {

const Kernels& active_kernels();

}  // namespace taut

#endif  // TAUT_RUN_LEVEL_HPP_
