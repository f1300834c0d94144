// The compiled module: registers the core's functions, and nothing else.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>

#include "arrays.hpp"
#include "batch.hpp"
#include "jax.hpp"
#include "kernels.hpp"
#include "taut/taut.hpp"

namespace py = pybind11;

namespace taut::bindings {
namespace {

using GradientFunction = double (*)(const Regularizer&, const ConstView&, const View&, double,
                                    Workspace*);

template <const Kernel& kKernel, GradientFunction kFunction>
double gradient_of(py::handle x, py::handle gradient, const py::tuple& factors, double scale) {
  const Regularizer regularizer = kKernel.regularizer_of(factors);
  const ConstView view = read_view(x);
  const View target = write_view(gradient, "a gradient");
  const char* const note = kFunction == GradientFunction(accumulate_grad) ? kAddedInPart : nullptr;
  return call_core(
      work_of(kKernel, view), [&] { return kFunction(regularizer, view, target, scale, nullptr); },
      note);
}

template <const Kernel& kKernel>
void register_kernel(py::module_& module) {
  const std::string name(kKernel.name);
  module.def((name + "_value").c_str(),
             [](py::handle x, const py::tuple& factors) {
               const Regularizer regularizer = kKernel.regularizer_of(factors);
               const ConstView view = read_view(x);
               return call_core(work_of(kKernel, view), [&] { return value(regularizer, view); });
             },
             py::arg("x"), py::arg("factors"));
  module.def((name + "_accumulate_grad").c_str(), gradient_of<kKernel, accumulate_grad>,
             py::arg("x"), py::arg("grad"), py::arg("factors"), py::arg("scale"));
  module.def((name + "_value_and_grad").c_str(), gradient_of<kKernel, value_and_grad>, py::arg("x"),
             py::arg("grad"), py::arg("factors"), py::arg("scale"));
}

template <const Kernel& kKernel>
void register_prox(py::module_& module) {
  module.def((std::string(kKernel.name) + "_prox").c_str(),
             [](py::handle x, const py::tuple& factors, double step) {
               const Regularizer regularizer = kKernel.regularizer_of(factors);
               const View view = write_view(x, "an array");
               call_core(
                   work_of(kKernel, view), [&] { prox(regularizer, view, step); }, kSteppedInPart);
             },
             py::arg("x"), py::arg("factors"), py::arg("step"));
}

using RangeFunction = double (*)(const OrthogonalRegularizer&, const ConstView&, VectorRange,
                                 const View&, double, Workspace*);

template <RangeFunction kFunction>
double gradient_of_range(py::handle x, py::handle gradient, const py::tuple& factors,
                         std::size_t begin, std::size_t end, double scale) {
  const OrthogonalRegularizer regularizer = orthogonal_of(factors);
  const ConstView view = read_view(x);
  const View target = write_view(gradient, "a gradient");
  const char* const note = kFunction == RangeFunction(accumulate_grad) ? kAddedInPart : nullptr;
  return call_core(
      work_of(kGram, view),
      [&] { return kFunction(regularizer, view, {begin, end}, target, scale, nullptr); }, note);
}

// The part of a range of vectors: see taut/vector_range.hpp.
void register_range(py::module_& module) {
  module.def(
      "gram_range_value",
      [](py::handle x, const py::tuple& factors, std::size_t begin, std::size_t end) {
        const OrthogonalRegularizer regularizer = orthogonal_of(factors);
        const ConstView view = read_view(x);
        return call_core(work_of(kGram, view),
                         [&] { return value(regularizer, view, VectorRange{begin, end}); });
      },
      py::arg("x"), py::arg("factors"), py::arg("begin"), py::arg("end"));
  module.def("gram_range_accumulate_grad", gradient_of_range<accumulate_grad>, py::arg("x"),
             py::arg("grad"), py::arg("factors"), py::arg("begin"), py::arg("end"),
             py::arg("scale"));
  module.def("gram_range_value_and_grad", gradient_of_range<value_and_grad>, py::arg("x"),
             py::arg("grad"), py::arg("factors"), py::arg("begin"), py::arg("end"),
             py::arg("scale"));
}

// The extents of what shares of pairs tell one another: see taut/pair_share.hpp.
void register_pair_share(py::module_& module) {
  module.def(
      "pair_words",
      [](std::size_t vectors, std::size_t shares, bool is_float64) {
        return pair_words(vectors, shares, is_float64 ? DType::kFloat64 : DType::kFloat32);
      },
      py::arg("vectors"), py::arg("shares"), py::arg("is_float64"));
  module.attr("pair_measures") = kPairMeasures;
}

void register_runtime(py::module_& module) {
  module.def("set_num_threads", set_num_threads, py::arg("threads"));
  module.def("get_num_threads", get_num_threads);
  module.def("num_threads_origin", num_threads_origin);
  module.def("trim_memory", trim_memory);
  module.def("level", level);
  module.def("available_levels", available_levels);
  module.def("set_level", [](const std::string& name) { set_level(name); }, py::arg("name"));
}

}  // namespace

// No GIL is needed: what is static here and in the core is atomic, or made once. Interpreters
// beside the main one are refused, as NumPy refuses them: `View` is one class for the process.
PYBIND11_MODULE(_core, module, py::mod_gil_not_used()) {
  register_view(module);
  level();  // a TAUT_SIMD that names no level fails the import rather than a later call
  register_kernel<kElementwise>(module);
  register_kernel<kGram>(module);
  register_kernel<kSoftOrthogonal>(module);
  register_kernel<kGroupLasso>(module);
  register_prox<kElementwise>(module);
  register_prox<kGroupLasso>(module);
  register_range(module);
  register_pair_share(module);
  register_batch(module);
  register_runtime(module);
  register_jax(module);
  module.attr("__version__") = TAUT_VERSION;
  module.attr("compiler") = TAUT_COMPILER;
}

}  // namespace taut::bindings
