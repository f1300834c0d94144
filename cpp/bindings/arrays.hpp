// From NumPy's arrays to taut's views.

#ifndef TAUT_BINDINGS_ARRAYS_HPP_
#define TAUT_BINDINGS_ARRAYS_HPP_

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "taut/view.hpp"

namespace taut::bindings {

// Both raise a TypeError for what is not an array, or not of one of taut's dtypes. The views do not
// hold a reference to the array.
ConstView read_view(pybind11::handle array);
// Raises a ValueError for an array that is read-only.
View write_view(pybind11::handle array);

}  // namespace taut::bindings

#endif  // TAUT_BINDINGS_ARRAYS_HPP_
