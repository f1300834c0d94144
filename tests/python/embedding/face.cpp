// The C++ face behind one C function, so that a test can give both faces the same memory.

#include <span>
#include <string>
#include <taut/taut.hpp>

namespace {

struct Array {
  void* data;
  const char* dtype;
  std::size_t rank;
  const std::ptrdiff_t* shape;
  const std::ptrdiff_t* strides;  // bytes

  taut::View view() const {
    auto known = taut::DType::kFloat64;
    for (const auto other :
         {taut::DType::kFloat32, taut::DType::kFloat16, taut::DType::kBFloat16}) {
      if (std::string(dtype) == taut::name_of(other)) known = other;
    }
    return {data, known, std::span(shape, rank), std::span(strides, rank)};
  }
};

taut::Regularizer make_regularizer(const std::string& kind, double first, double second) {
  if (kind == "L1") return taut::L1{first};
  if (kind == "L2") return taut::L2{first};
  if (kind == "L1L2") return taut::L1L2{first, second};
  return taut::OrthogonalRegularizer{first,
                                     kind == "rows" ? taut::Mode::kRows : taut::Mode::kColumns};
}

double call(const std::string& function, const taut::Regularizer& regularizer, const Array& x,
            const Array& gradient, double scale) {
  static taut::Workspace workspace;
  if (function == "value") return taut::value(regularizer, x.view(), &workspace);
  if (function == "value_and_grad") {
    return taut::value_and_grad(regularizer, x.view(), gradient.view(), scale, &workspace);
  }
  if (function == "accumulate_grad") {
    return taut::accumulate_grad(regularizer, x.view(), gradient.view(), scale, &workspace);
  }
  if (function == "batch") {
    const taut::GradientTerm term[] = {{regularizer, x.view(), gradient.view()}};
    return taut::accumulate_grad(term, scale, {}, &workspace);
  }
  taut::prox(regularizer, x.view(), scale);
  return 0;
}

}  // namespace

// Returns what was thrown, or "".
extern "C" const char* call_taut(const char* function, const char* kind, double first,
                                 double second, const Array* x, const Array* gradient, double scale,
                                 double* result) {
  static std::string message;
  message.clear();
  try {
    *result = call(function, make_regularizer(kind, first, second), *x, *gradient, scale);
  } catch (const std::invalid_argument& error) {
    message = error.what();
  }
  return message.c_str();
}
