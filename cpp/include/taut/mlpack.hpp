// taut's penalties where a layer of mlpack takes its RegularizerType:
//
//   using Penalty = taut::MlpackRegularizer<taut::OrthogonalRegularizer>;
//   mlpack::FFN<> network;
//   network.Add<mlpack::Linear<arma::mat, Penalty>>(36, Penalty({.factor = 0.1}, 36, 64));
//
// mlpack asks it for the gradient alone, which is added to that of the loss once for each batch;
// the objective that its optimizers print has no penalty in it. Its losses are sums over a batch
// unless told otherwise, and ensmallen divides a step's length by the batch's size: a factor that
// was chosen for a mean is multiplied by it.
//
// Not included by taut.hpp; needs Armadillo, and cereal as mlpack itself does. Of mlpack it
// includes nothing.

#ifndef TAUT_MLPACK_HPP_
#define TAUT_MLPACK_HPP_

#include <cereal/cereal.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "taut/armadillo.hpp"
#include "taut/error.hpp"
#include "taut/penalty.hpp"
#include "taut/regularizers.hpp"

namespace taut {

template <typename Archive>
void serialize(Archive& archive, L1& regularizer) {
  archive(cereal::make_nvp("l1", regularizer.l1));
}
template <typename Archive>
void serialize(Archive& archive, L2& regularizer) {
  archive(cereal::make_nvp("l2", regularizer.l2));
}
template <typename Archive>
void serialize(Archive& archive, L1L2& regularizer) {
  archive(cereal::make_nvp("l1", regularizer.l1), cereal::make_nvp("l2", regularizer.l2));
}
template <typename Archive>
void serialize(Archive& archive, OrthogonalRegularizer& regularizer) {
  archive(cereal::make_nvp("factor", regularizer.factor),
          cereal::make_nvp("mode", regularizer.mode),
          cereal::make_nvp("flatten", regularizer.flatten));
}
template <typename Archive>
void serialize(Archive& archive, SoftOrthogonalRegularizer& regularizer) {
  archive(cereal::make_nvp("factor", regularizer.factor),
          cereal::make_nvp("mode", regularizer.mode),
          cereal::make_nvp("diagonal", regularizer.diagonal),
          cereal::make_nvp("flatten", regularizer.flatten));
}
template <typename Archive>
void serialize(Archive& archive, GroupLasso& regularizer) {
  archive(cereal::make_nvp("factor", regularizer.factor),
          cereal::make_nvp("mode", regularizer.mode));
}

namespace detail {

template <typename R>
constexpr bool kElementwise =
    std::is_same_v<R, L1> || std::is_same_v<R, L2> || std::is_same_v<R, L1L2>;

}  // namespace detail

// The regularizer of a layer's parameters, or of its weight alone.
//
// mlpack hands over all parameters of Linear and Linear3D as one column, the weight and behind it
// the bias; of LinearNoBias the weight. The weight is outputs x inputs, column-major, so that a row
// belongs to a unit: what Keras and taut's Python call the columns of a kernel. Only who built the
// layer knows its shape, and must name it for a penalty of rows or columns.
template <typename R>
class MlpackRegularizer {
 public:
  // What a layer begins with that is read from a file. Of a penalty of rows or columns it can do
  // nothing else.
  MlpackRegularizer() = default;

  // Of all that the layer hands over, its bias too, as mlpack's own regularizers are.
  explicit MlpackRegularizer(const R& regularizer)
    requires detail::kElementwise<R>
      : regularizer_(regularizer) {}

  // Of the weight of a Linear, Linear3D or LinearNoBias, without its bias.
  MlpackRegularizer(const R& regularizer, std::size_t outputs, std::size_t inputs)
      : regularizer_(regularizer), outputs_(outputs), inputs_(inputs), weight_alone_(true) {}

  // gradient += d(penalty)/d(parameters), where the gradient is a column, or has the parameters'
  // shape. Throws InvalidArgument, before anything is written, for as many parameters as no such
  // layer has, and what taut/penalty.hpp says.
  template <typename MatType>
  void Evaluate(const MatType& parameters, MatType& gradient) {
    using T = typename MatType::elem_type;
    static_assert(std::is_base_of_v<arma::Mat<T>, MatType> && Element<T>,
                  "taut takes Armadillo's matrices of float and double alone");
    if (gradient.n_elem != parameters.n_elem) {
      throw InvalidArgument("The gradient must have as many elements as the layer's parameters.");
    }
    if (detail::kElementwise<R> && !weight_alone_) {
      accumulate_grad(regularizer_, ConstView(parameters.memptr(), parameters.n_elem),
                      View(gradient.memptr(), gradient.n_elem));
      return;
    }
    check_parameters(parameters.n_rows, parameters.n_cols);
    const auto column_stride = static_cast<std::ptrdiff_t>(outputs_);
    accumulate_grad(regularizer_,
                    ConstView::matrix(parameters.memptr(), outputs_, inputs_, 1, column_stride),
                    View::matrix(gradient.memptr(), outputs_, inputs_, 1, column_stride));
  }

  const R& regularizer() const { return regularizer_; }

  template <typename Archive>
  void serialize(Archive& archive, std::uint32_t /* version */) {
    archive(cereal::make_nvp("regularizer", regularizer_), cereal::make_nvp("outputs", outputs_),
            cereal::make_nvp("inputs", inputs_), cereal::make_nvp("weight_alone", weight_alone_));
  }

 private:
  void check_parameters(std::size_t rows, std::size_t columns) const {
    if (!weight_alone_) {
      throw InvalidArgument(
          "A penalty of rows or columns must be told the layer's outputs and "
          "inputs, as in MlpackRegularizer(regularizer, outputs, inputs).");
    }
    const bool is_weight = rows == outputs_ && columns == inputs_;
    const bool has_bias = columns == 1 && rows == outputs_ * (inputs_ + 1);
    if (!is_weight && !has_bias) {
      throw InvalidArgument("The layer's parameters are " + std::to_string(rows) + " x " +
                            std::to_string(columns) + ": neither a weight of " +
                            std::to_string(outputs_) + " outputs x " + std::to_string(inputs_) +
                            " inputs nor a column of that and its bias.");
    }
  }

  R regularizer_;
  std::size_t outputs_ = 0;
  std::size_t inputs_ = 0;
  bool weight_alone_ = false;
};

}  // namespace taut

#endif  // TAUT_MLPACK_HPP_
