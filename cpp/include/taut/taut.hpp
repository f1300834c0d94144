// taut: weight-regularization penalties and their gradients on the CPU.

#ifndef TAUT_TAUT_HPP_
#define TAUT_TAUT_HPP_

#include "taut/batch.hpp"
#include "taut/dtype.hpp"
#include "taut/error.hpp"
#include "taut/language.hpp"  // before anything that a compiler in another mode stumbles over
#include "taut/penalty.hpp"
#include "taut/regularizers.hpp"
#include "taut/runtime.hpp"
#include "taut/vector_range.hpp"
#include "taut/view.hpp"
#include "taut/workspace.hpp"

#endif  // TAUT_TAUT_HPP_
