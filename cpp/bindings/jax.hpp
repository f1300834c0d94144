// The orthogonal penalties as handlers of XLA, which runs what JAX has compiled.

#ifndef TAUT_BINDINGS_JAX_HPP_
#define TAUT_BINDINGS_JAX_HPP_

#include <pybind11/pybind11.h>

namespace taut::bindings {

// Registers `jax_handlers`, a dict from names to the capsules that `jax.ffi.register_ffi_target`
// takes. It is empty in a build without XLA's headers.
void register_jax(pybind11::module_& module);

}  // namespace taut::bindings

#endif  // TAUT_BINDINGS_JAX_HPP_
