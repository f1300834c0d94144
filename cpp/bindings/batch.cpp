#include "batch.hpp"

#include <pybind11/stl.h>

#include <atomic>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "kernels.hpp"
#include "taut/taut.hpp"

namespace py = pybind11;

namespace taut::bindings {
namespace {

// A regularizer, and the work that each element is.
struct Kind {
  Regularizer regularizer;
  std::size_t work;
};

// Regularizers as (kernel's name, factors).
std::vector<Kind> kinds_of(const py::list& regularizers) {
  std::vector<Kind> kinds;
  for (const py::handle kind : regularizers) {
    const auto [name, factors] = kind.cast<std::pair<std::string_view, py::tuple>>();
    const Kernel& kernel = kernel_named(name);
    kinds.push_back({kernel.regularizer_of(factors), kernel.work});
  }
  return kinds;
}

// The same, and for each tensor the index of its own.
std::vector<Kind> kinds_of(const py::list& regularizers, const py::list& indices) {
  const std::vector<Kind> kinds = kinds_of(regularizers);
  std::vector<Kind> each;
  each.reserve(indices.size());
  for (const py::handle index : indices) each.push_back(kinds.at(py::cast<std::size_t>(index)));
  return each;
}

std::string named(const py::list& names, std::size_t i, const std::exception& error) {
  return std::string(py::str(names[i])) + ": " + error.what();
}

// Whoever reads what `look_up` raises is told the name.
template <typename LookUp>
void for_name(const py::list& names, std::size_t i, LookUp look_up) {
  try {
    look_up();
  } catch (const py::type_error& error) {
    throw py::type_error(named(names, i, error));
  } catch (const py::value_error& error) {
    throw py::value_error(named(names, i, error));
  }
}

// A reference, or an importance, of each array: None where there is none, and no list where there
// is none at all.
class SideList {
 public:
  explicit SideList(py::list arrays) : arrays_(std::move(arrays)) {}

  bool is_there() const { return !arrays_.empty(); }
  bool fits(std::size_t names) const { return !is_there() || arrays_.size() == names; }
  std::optional<ConstView> operator[](std::size_t i) const {
    if (!is_there() || py::handle(arrays_[i]).is_none()) return std::nullopt;
    return read_view(arrays_[i]);
  }
  // Whether that would be the same view again.
  bool is_as_read(const std::optional<ConstView>& view, std::size_t i) const {
    return !view || bindings::is_as_read(*view, arrays_[i]);
  }

 private:
  py::list arrays_;
};

struct SideLists {
  SideList references;
  SideList importances;

  bool are_there() const { return references.is_there() || importances.is_there(); }
};

template <typename AnyTerm>
struct Terms {
  std::vector<AnyTerm> terms;
  Work work;
};

void check_as_many(const py::list& names, const py::list& indices,
                   std::initializer_list<py::list> arrays, const SideLists& sides) {
  bool same_size = names.size() == indices.size() && sides.references.fits(names.size()) &&
                   sides.importances.fits(names.size());
  for (const py::list& list : arrays) same_size &= list.size() == names.size();
  if (!same_size) {
    throw InvalidArgument("there must be as many names, indices, arrays and gradients");
  }
}

// Calls make(regularizer, i) for every name.
template <typename AnyTerm, typename Make>
Terms<AnyTerm> make_terms(const py::list& names, const py::list& regularizers,
                          const py::list& indices, std::initializer_list<py::list> arrays,
                          const SideLists& sides, Make make) {
  const std::vector<Kind> each = kinds_of(regularizers, indices);
  check_as_many(names, indices, arrays, sides);
  Terms<AnyTerm> made;
  made.terms.reserve(each.size());
  for (std::size_t i = 0; i < each.size(); ++i) {
    for_name(names, i, [&] {
      made.terms.push_back(make(each[i].regularizer, i));
      if (!sides.are_there()) return;
      made.terms.back().reference = sides.references[i];
      made.terms.back().importance = sides.importances[i];
    });
    made.work.add(made.terms.back().x.size(), each[i].work);
  }
  return made;
}

// Calls the core for many terms. `note` goes with an interrupt.
template <typename Call>
void call_batch(const py::list& names, const Work& work, Call&& call, const char* note = nullptr) {
  try {
    call_core(work, call, note);
  } catch (const InvalidTerm& error) {
    throw py::value_error(named(names, error.term(), error));
  }
}

std::vector<double> batch_value(const py::list& names, const py::list& regularizers,
                                const py::list& indices, const py::list& arrays,
                                py::list references, py::list importances) {
  const SideLists sides{SideList(std::move(references)), SideList(std::move(importances))};
  const auto [terms, work] = make_terms<Term>(names, regularizers, indices, {arrays}, sides,
                                              [&](const Regularizer& regularizer, std::size_t i) {
                                                return Term{regularizer, read_view(arrays[i])};
                                              });
  std::vector<double> values(terms.size());
  call_batch(names, work, [&, &terms = terms] { value(terms, values); });
  return values;
}

using BatchGradientFunction = double (*)(std::span<const GradientTerm>, double, std::span<double>,
                                         Workspace*);

Terms<GradientTerm> gradient_terms(const py::list& names, const py::list& regularizers,
                                   const py::list& indices, const py::list& arrays,
                                   const py::list& grads, const SideLists& sides) {
  return make_terms<GradientTerm>(names, regularizers, indices, {arrays, grads}, sides,
                                  [&](const Regularizer& regularizer, std::size_t i) {
                                    return GradientTerm{regularizer, read_view(arrays[i]),
                                                        write_view(grads[i], "a gradient")};
                                  });
}

void batch_check_accumulate_grad(const py::list& names, const py::list& regularizers,
                                 const py::list& indices, const py::list& arrays,
                                 const py::list& grads, double scale, py::list references,
                                 py::list importances) {
  const SideLists sides{SideList(std::move(references)), SideList(std::move(importances))};
  const auto [terms, work] = gradient_terms(names, regularizers, indices, arrays, grads, sides);
  call_batch(names, work, [&, &terms = terms] { check_accumulate_grad(terms, scale); });
}

template <BatchGradientFunction kFunction>
std::vector<double> batch_gradient(const py::list& names, const py::list& regularizers,
                                   const py::list& indices, const py::list& arrays,
                                   const py::list& grads, double scale, py::list references,
                                   py::list importances) {
  const SideLists sides{SideList(std::move(references)), SideList(std::move(importances))};
  const auto [terms, work] = gradient_terms(names, regularizers, indices, arrays, grads, sides);
  std::vector<double> values(terms.size());
  const char* const note =
      kFunction == BatchGradientFunction(accumulate_grad) ? kAddedInPart : nullptr;
  call_batch(names, work, [&, &terms = terms] { kFunction(terms, scale, values, nullptr); }, note);
  return values;
}

Terms<ProxTerm> prox_terms(const py::list& names, const py::list& regularizers,
                           const py::list& indices, const py::list& arrays,
                           const SideLists& sides) {
  return make_terms<ProxTerm>(names, regularizers, indices, {arrays}, sides,
                              [&](const Regularizer& regularizer, std::size_t i) {
                                return ProxTerm{regularizer, write_view(arrays[i], "an array")};
                              });
}

void batch_check_prox(const py::list& names, const py::list& regularizers, const py::list& indices,
                      const py::list& arrays, double step, py::list references,
                      py::list importances) {
  const SideLists sides{SideList(std::move(references)), SideList(std::move(importances))};
  const auto [terms, work] = prox_terms(names, regularizers, indices, arrays, sides);
  call_batch(names, work, [&, &terms = terms] { check_prox(terms, step); });
}

void batch_prox(const py::list& names, const py::list& regularizers, const py::list& indices,
                const py::list& arrays, double step, py::list references, py::list importances) {
  const SideLists sides{SideList(std::move(references)), SideList(std::move(importances))};
  const auto [terms, work] = prox_terms(names, regularizers, indices, arrays, sides);
  call_batch(names, work, [&, &terms = terms] { prox(terms, step); }, kSteppedInPart);
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

// Of each array where it is, as memory_key_of takes it, and whether it is written.
void check_arrays_apart(const py::list& names, const py::list& memories,
                        const py::list& are_written) {
  using Extents = std::vector<std::ptrdiff_t>;
  check_as_many(names, are_written, {memories}, {SideList(py::list()), SideList(py::list())});
  std::vector<std::tuple<std::size_t, std::size_t, Extents, Extents>> described;
  for (const py::handle memory : memories) {
    described.push_back(memory.cast<decltype(described)::value_type>());
  }
  std::vector<Memory> arrays;
  Work work;
  for (std::size_t i = 0; i < described.size(); ++i) {
    const auto& [pointer, element_size, shape, strides] = described[i];
    arrays.push_back({reinterpret_cast<const void*>(pointer), element_size, shape, strides,
                      are_written[i].cast<bool>()});
    std::size_t size = 1;
    for (const std::ptrdiff_t extent : shape) size *= static_cast<std::size_t>(extent);
    work.add(size);
  }
  call_batch(names, work, [&] { check_apart(arrays); });
}

// Arrays and gradients that are looked up once, and kept alive: a call reads the factors, and sees
// that the arrays are where they were, as they were. It looks up again what is not.
class BoundBatch {
 public:
  BoundBatch(py::list names, const py::list& indices, py::list arrays, py::list grads,
             py::list references, py::list importances)
      : names_(std::move(names)),
        arrays_(std::move(arrays)),
        grads_(std::move(grads)),
        sides_{SideList(std::move(references)), SideList(std::move(importances))} {
    check_as_many(names_, indices, {arrays_, grads_}, sides_);
    for (std::size_t i = 0; i < names_.size(); ++i) {
      indices_.push_back(py::cast<std::size_t>(indices[i]));
      for_name(names_, i, [&] { terms_.push_back(look_up(i)); });
    }
  }

  ~BoundBatch() { delete spare_.load(); }
  BoundBatch(const BoundBatch&) = delete;
  BoundBatch& operator=(const BoundBatch&) = delete;

  // Any number of threads may call this at once.
  double accumulate_grad(const py::list& regularizers, double scale) const {
    const std::vector<Kind> kinds = kinds_of(regularizers);
    // The last call's, unless another thread has it: terms are large, and a copy takes longer than
    // to set the regularizers of one, and to see that its views are right.
    std::unique_ptr<std::vector<GradientTerm>> own(spare_.exchange(nullptr));
    if (own == nullptr) own = std::make_unique<std::vector<GradientTerm>>(terms_);
    std::vector<GradientTerm>& terms = *own;
    Work work;
    for (std::size_t i = 0; i < terms.size(); ++i) {
      const Kind& kind = kinds.at(indices_[i]);
      for_name(names_, i, [&] {
        if (!is_as_it_was(terms[i], i)) terms[i] = look_up(i);
      });
      terms[i].regularizer = kind.regularizer;
      work.add(terms[i].x.size(), kind.work);
    }
    double total = 0;
    call_batch(names_, work, [&] { total = taut::accumulate_grad(terms, scale); }, kAddedInPart);
    delete spare_.exchange(own.release());
    return total;
  }

 private:
  static constexpr const char* kGradient = "a gradient";

  GradientTerm look_up(std::size_t i) const {
    return {L2{}, read_view(arrays_[i]), write_view(grads_[i], kGradient), sides_.references[i],
            sides_.importances[i]};
  }
  bool is_as_it_was(const GradientTerm& term, std::size_t i) const {
    return is_as_read(term.x, arrays_[i]) && is_as_written(term.gradient, grads_[i], kGradient) &&
           sides_.references.is_as_read(term.reference, i) &&
           sides_.importances.is_as_read(term.importance, i);
  }

  py::list names_;
  py::list arrays_;
  py::list grads_;
  SideLists sides_;
  std::vector<std::size_t> indices_;
  std::vector<GradientTerm> terms_;
  mutable std::atomic<std::vector<GradientTerm>*> spare_{nullptr};
};

}  // namespace

void register_batch(py::module_& module) {
  module.def("memory_key", memory_key_of, py::arg("pointer"), py::arg("itemsize"), py::arg("shape"),
             py::arg("strides"));
  module.def("check_apart", check_arrays_apart, py::arg("names"), py::arg("memories"),
             py::arg("are_written"));
  module.def("batch_value", batch_value, py::arg("names"), py::arg("regularizers"),
             py::arg("indices"), py::arg("arrays"), py::arg("references") = py::list(),
             py::arg("importances") = py::list());
  module.def("batch_check_accumulate_grad", batch_check_accumulate_grad, py::arg("names"),
             py::arg("regularizers"), py::arg("indices"), py::arg("arrays"), py::arg("grads"),
             py::arg("scale"), py::arg("references") = py::list(),
             py::arg("importances") = py::list());
  module.def("batch_accumulate_grad", batch_gradient<accumulate_grad>, py::arg("names"),
             py::arg("regularizers"), py::arg("indices"), py::arg("arrays"), py::arg("grads"),
             py::arg("scale"), py::arg("references") = py::list(),
             py::arg("importances") = py::list());
  module.def("batch_value_and_grad", batch_gradient<value_and_grad>, py::arg("names"),
             py::arg("regularizers"), py::arg("indices"), py::arg("arrays"), py::arg("grads"),
             py::arg("scale"), py::arg("references") = py::list(),
             py::arg("importances") = py::list());
  module.def("batch_check_prox", batch_check_prox, py::arg("names"), py::arg("regularizers"),
             py::arg("indices"), py::arg("arrays"), py::arg("step"),
             py::arg("references") = py::list(), py::arg("importances") = py::list());
  module.def("batch_prox", batch_prox, py::arg("names"), py::arg("regularizers"),
             py::arg("indices"), py::arg("arrays"), py::arg("step"),
             py::arg("references") = py::list(), py::arg("importances") = py::list());
  // As View, without pybind11's own metaclass.
  py::class_<BoundBatch>(module, "BoundBatch",
                         py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type)))
      .def(py::init<py::list, const py::list&, py::list, py::list, py::list, py::list>(),
           py::arg("names"), py::arg("indices"), py::arg("arrays"), py::arg("grads"),
           py::arg("references") = py::list(), py::arg("importances") = py::list())
      .def("accumulate_grad", &BoundBatch::accumulate_grad, py::arg("regularizers"),
           py::arg("scale"));
}

}  // namespace taut::bindings
