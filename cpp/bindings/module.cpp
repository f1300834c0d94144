// The compiled module: registers the core's functions, and nothing else.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "gil.hpp"
#include "jax.hpp"
#include "taut/taut.hpp"

namespace py = pybind11;

namespace taut::bindings {
namespace {

// Below this much work, an element of an elementwise penalty being one unit, a call is over before
// another thread could use the GIL.
constexpr std::size_t kWorthReleasing = 16384;

template <typename Call>
auto call_core(std::size_t work, Call&& call) {
  return work < kWorthReleasing ? call() : without_gil(call);
}

double number_at(const py::tuple& factors, py::ssize_t index) {
  const double number = PyFloat_AsDouble(PyTuple_GET_ITEM(factors.ptr(), index));
  if (number == -1 && PyErr_Occurred() != nullptr) throw py::error_already_set();
  return number;
}

void check_length(const py::tuple& factors, std::size_t length) {
  if (factors.size() != length) throw InvalidArgument("a kernel was given too many factors or few");
}

Regularizer elementwise_of(const py::tuple& factors) {  // (l1, l2)
  check_length(factors, 2);
  return L1L2{number_at(factors, 0), number_at(factors, 1)};
}

Regularizer gram_of(const py::tuple& factors) {  // (factor, mode)
  check_length(factors, 2);
  const auto mode = factors[1].cast<std::string_view>();
  if (mode != "rows" && mode != "columns") {
    throw InvalidArgument(
        "Invalid value for argument `mode`. Expected one of {\"rows\", \"columns\"}. "
        "Received: mode=" +
        std::string(mode));
  }
  return OrthogonalRegularizer{number_at(factors, 0),
                               mode == "rows" ? Mode::kRows : Mode::kColumns};
}

// A kernel as Python knows it. Its factors come in a tuple, so that every kernel has the same
// functions.
struct Kernel {
  std::string_view name;
  Regularizer (*regularizer_of)(const py::tuple& factors);
  std::size_t work;  // per element: in a matrix, each meets those of many other vectors
};
constexpr Kernel kElementwise{"elementwise", elementwise_of, 1};
constexpr Kernel kGram{"gram", gram_of, 64};

const Kernel& kernel_named(std::string_view name) {
  for (const Kernel* kernel : {&kElementwise, &kGram}) {
    if (kernel->name == name) return *kernel;
  }
  throw InvalidArgument("there is no kernel named '" + std::string(name) + "'");
}

using GradientFunction = double (*)(const Regularizer&, const ConstView&, const View&, double,
                                    Workspace*);

template <const Kernel& kKernel, GradientFunction kFunction>
double gradient_of(py::handle x, py::handle gradient, const py::tuple& factors, double scale) {
  const Regularizer regularizer = kKernel.regularizer_of(factors);
  const ConstView view = read_view(x);
  const View target = write_view(gradient, "a gradient");
  return call_core(kKernel.work * view.size(),
                   [&] { return kFunction(regularizer, view, target, scale, nullptr); });
}

template <const Kernel& kKernel>
void register_kernel(py::module_& module) {
  const std::string name(kKernel.name);
  module.def((name + "_value").c_str(),
             [](py::handle x, const py::tuple& factors) {
               const Regularizer regularizer = kKernel.regularizer_of(factors);
               const ConstView view = read_view(x);
               return call_core(kKernel.work * view.size(),
                                [&] { return value(regularizer, view); });
             },
             py::arg("x"), py::arg("factors"));
  module.def((name + "_accumulate_grad").c_str(), gradient_of<kKernel, accumulate_grad>,
             py::arg("x"), py::arg("grad"), py::arg("factors"), py::arg("scale"));
  module.def((name + "_value_and_grad").c_str(), gradient_of<kKernel, value_and_grad>, py::arg("x"),
             py::arg("grad"), py::arg("factors"), py::arg("scale"));
}

void register_prox(py::module_& module) {
  module.def(
      "elementwise_prox",
      [](py::handle x, const py::tuple& factors, double step) {
        const Regularizer regularizer = elementwise_of(factors);
        const View view = write_view(x, "an array");
        call_core(view.size(), [&] { prox(regularizer, view, step); });
      },
      py::arg("x"), py::arg("factors"), py::arg("step"));
}

// ---- many tensors ----------------------------------------------------------------------------

// A regularizer, and the work that each element is.
struct Kind {
  Regularizer regularizer;
  std::size_t work;
};

// Regularizers as (kernel's name, factors), and for each tensor the index of its own.
std::vector<Kind> kinds_of(const py::list& regularizers, const py::list& indices) {
  std::vector<Kind> kinds;
  for (const py::handle kind : regularizers) {
    const auto [name, factors] = kind.cast<std::pair<std::string_view, py::tuple>>();
    const Kernel& kernel = kernel_named(name);
    kinds.push_back({kernel.regularizer_of(factors), kernel.work});
  }
  std::vector<Kind> each;
  each.reserve(indices.size());
  for (const py::handle index : indices) each.push_back(kinds.at(py::cast<std::size_t>(index)));
  return each;
}

std::string named(const py::list& names, std::size_t i, const std::exception& error) {
  return std::string(py::str(names[i])) + ": " + error.what();
}

template <typename AnyTerm>
struct Terms {
  std::vector<AnyTerm> terms;
  std::size_t work = 0;
};

// Calls make(regularizer, i) for every name; whoever reads what it raises is told the name.
template <typename AnyTerm, typename Make>
Terms<AnyTerm> make_terms(const py::list& names, const py::list& regularizers,
                          const py::list& indices, std::initializer_list<py::list> arrays,
                          Make make) {
  const std::vector<Kind> each = kinds_of(regularizers, indices);
  bool same_size = names.size() == each.size();
  for (const py::list& list : arrays) same_size &= list.size() == each.size();
  if (!same_size) {
    throw InvalidArgument("there must be as many names, indices, arrays and gradients");
  }
  Terms<AnyTerm> made;
  made.terms.reserve(each.size());
  for (std::size_t i = 0; i < each.size(); ++i) {
    try {
      made.terms.push_back(make(each[i].regularizer, i));
      made.work += each[i].work * made.terms.back().x.size();
    } catch (const py::type_error& error) {
      throw py::type_error(named(names, i, error));
    } catch (const py::value_error& error) {
      throw py::value_error(named(names, i, error));
    }
  }
  return made;
}

// Calls the core for many terms.
template <typename Call>
void call_batch(const py::list& names, std::size_t work, Call&& call) {
  try {
    call_core(work, call);
  } catch (const InvalidTerm& error) {
    throw py::value_error(named(names, error.term(), error));
  }
}

std::vector<double> batch_value(const py::list& names, const py::list& regularizers,
                                const py::list& indices, const py::list& arrays) {
  const auto [terms, work] = make_terms<Term>(names, regularizers, indices, {arrays},
                                              [&](const Regularizer& regularizer, std::size_t i) {
                                                return Term{regularizer, read_view(arrays[i])};
                                              });
  std::vector<double> values(terms.size());
  call_batch(names, work, [&, &terms = terms] { value(terms, values); });
  return values;
}

using BatchGradientFunction = double (*)(std::span<const GradientTerm>, double, std::span<double>,
                                         Workspace*);

template <BatchGradientFunction kFunction>
std::vector<double> batch_gradient(const py::list& names, const py::list& regularizers,
                                   const py::list& indices, const py::list& arrays,
                                   const py::list& grads, double scale) {
  const auto [terms, work] = make_terms<GradientTerm>(
      names, regularizers, indices, {arrays, grads},
      [&](const Regularizer& regularizer, std::size_t i) {
        return GradientTerm{regularizer, read_view(arrays[i]), write_view(grads[i], "a gradient")};
      });
  std::vector<double> values(terms.size());
  call_batch(names, work, [&, &terms = terms] { kFunction(terms, scale, values, nullptr); });
  return values;
}

void batch_prox(const py::list& names, const py::list& regularizers, const py::list& indices,
                const py::list& arrays, double step) {
  const auto [terms, work] = make_terms<ProxTerm>(
      names, regularizers, indices, {arrays}, [&](const Regularizer& regularizer, std::size_t i) {
        return ProxTerm{regularizer, write_view(arrays[i], "an array")};
      });
  call_batch(names, work, [&, &terms = terms] { prox(terms, step); });
}

// Hashable, and None for an array without elements.
py::object memory_key_of(std::size_t pointer, std::size_t element_size, const py::tuple& shape,
                         const py::tuple& strides) {
  const auto extents = shape.cast<std::vector<std::ptrdiff_t>>();
  const auto steps = strides.cast<std::vector<std::ptrdiff_t>>();
  const auto key = memory_key(reinterpret_cast<const void*>(pointer), element_size, extents, steps);
  if (key.empty()) return py::none();
  return py::bytes(reinterpret_cast<const char*>(key.data()), key.size() * sizeof(key[0]));
}

void register_batch(py::module_& module) {
  module.def("memory_key", memory_key_of, py::arg("pointer"), py::arg("itemsize"), py::arg("shape"),
             py::arg("strides"));
  module.def("batch_value", batch_value, py::arg("names"), py::arg("regularizers"),
             py::arg("indices"), py::arg("arrays"));
  module.def("batch_accumulate_grad", batch_gradient<accumulate_grad>, py::arg("names"),
             py::arg("regularizers"), py::arg("indices"), py::arg("arrays"), py::arg("grads"),
             py::arg("scale"));
  module.def("batch_value_and_grad", batch_gradient<value_and_grad>, py::arg("names"),
             py::arg("regularizers"), py::arg("indices"), py::arg("arrays"), py::arg("grads"),
             py::arg("scale"));
  module.def("batch_prox", batch_prox, py::arg("names"), py::arg("regularizers"),
             py::arg("indices"), py::arg("arrays"), py::arg("step"));
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
  register_prox(module);
  register_batch(module);
  register_runtime(module);
  register_jax(module);
  module.attr("__version__") = TAUT_VERSION;
  module.attr("compiler") = TAUT_COMPILER;
}

}  // namespace taut::bindings
