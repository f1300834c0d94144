// Many tensors in one call.

#ifndef TAUT_BINDINGS_BATCH_HPP_
#define TAUT_BINDINGS_BATCH_HPP_

#include <pybind11/pybind11.h>

namespace taut::bindings {

void register_batch(pybind11::module_& module);

}  // namespace taut::bindings

#endif  // TAUT_BINDINGS_BATCH_HPP_
