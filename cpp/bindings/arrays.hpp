// From NumPy's arrays, and from memory that another library describes, to taut's views.

#ifndef TAUT_BINDINGS_ARRAYS_HPP_
#define TAUT_BINDINGS_ARRAYS_HPP_

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "taut/view.hpp"

namespace taut::bindings {

// Registers the Python class `View`: an array in memory that another library owns, told by its
// pointer, dtype's name, shape and strides in elements. Whoever makes one keeps the owner alive.
void register_view(pybind11::module_& module);

// Both take a NumPy array or a View, and raise a TypeError for anything else, and for what is not
// of one of taut's dtypes. The views do not hold a reference to the array.
ConstView read_view(pybind11::handle array);
// Raises a ValueError for an array that is read-only. `what` names it in messages: "a gradient".
View write_view(pybind11::handle array, const char* what);

// Whether read_view, or write_view, would give the same view again, of what gave this one: a NumPy
// array may be changed in place to another shape, dtype or memory, or be made read-only. It takes
// some nanoseconds. Both raise a TypeError for what has become of another kind than taut's dtypes.
bool is_as_read(const ConstView& view, pybind11::handle array);
bool is_as_written(const View& view, pybind11::handle array, const char* what);

}  // namespace taut::bindings

#endif  // TAUT_BINDINGS_ARRAYS_HPP_
