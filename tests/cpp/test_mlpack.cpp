// What mlpack's layers ask of a regularizer, by hand: mlpack itself is not needed.

#include <cereal/archives/json.hpp>
#include <sstream>
#include <taut/mlpack.hpp>

#include "check_penalty.hpp"

namespace taut_test {
namespace {

constexpr arma::uword kOutputs = 5;
constexpr arma::uword kInputs = 8;

template <typename A, typename B>
bool equal(const A& a, const B& b) {
  return arma::approx_equal(a, b, "absdiff", 0);
}

template <typename R>
taut::MlpackRegularizer<R> of_the_weight(const R& regularizer) {
  return {regularizer, kOutputs, kInputs};
}

// All parameters of mlpack's Linear: the weight, a column per input, and then the bias.
arma::mat linear_parameters() { return {kOutputs * (kInputs + 1), 1, arma::fill::randn}; }

TEST_CASE("an elementwise penalty is that of all parameters, as mlpack's own are") {
  const arma::mat parameters = linear_parameters();
  arma::mat gradient(arma::size(parameters), arma::fill::ones);
  taut::MlpackRegularizer(taut::L1L2{0.5, 0.25}).Evaluate(parameters, gradient);
  const arma::mat expected = 1 + 0.5 * arma::sign(parameters) + 0.5 * parameters;
  CHECK(arma::approx_equal(gradient, expected, "absdiff", 1e-15));
}

TEMPLATE_TEST_CASE("a shape leaves the bias of Linear alone", "", taut::L2,
                   taut::OrthogonalRegularizer, taut::SoftOrthogonalRegularizer, taut::GroupLasso) {
  const TestType regularizer{0.25};
  const arma::mat parameters = linear_parameters();
  arma::mat gradient(arma::size(parameters), arma::fill::ones);
  of_the_weight(regularizer).Evaluate(parameters, gradient);

  const arma::mat weight(const_cast<double*>(parameters.memptr()), kOutputs, kInputs, false, true);
  arma::mat expected(kOutputs, kInputs, arma::fill::ones);
  taut::accumulate_grad(regularizer, taut::view(weight), taut::view(expected));
  CHECK(equal(gradient.head_rows(kOutputs * kInputs), arma::vectorise(expected)));
  CHECK(equal(gradient.tail_rows(kOutputs), arma::vec(kOutputs, arma::fill::ones)));
  CHECK(!equal(gradient.head_rows(kOutputs * kInputs),
               arma::vec(kOutputs * kInputs, arma::fill::ones)));
}

TEST_CASE("the rows are the layer's units") {
  const arma::mat weight(kOutputs, kInputs, arma::fill::randn);
  arma::mat gradient(weight.n_elem, 1, arma::fill::zeros);
  of_the_weight(taut::GroupLasso{1}).Evaluate(weight, gradient);
  gradient.reshape(kOutputs, kInputs);
  const arma::mat expected =
      std::sqrt(kInputs) * (weight.each_col() / arma::sqrt(arma::sum(arma::square(weight), 1)));
  CHECK(arma::approx_equal(gradient, expected, "absdiff", 1e-14));
}

TEMPLATE_TEST_CASE("the matrix that LinearNoBias hands over has its gradient in a column", "",
                   double, float) {
  const arma::Mat<TestType> weight(kOutputs, kInputs, arma::fill::randn);
  arma::Mat<TestType> gradient(weight.n_elem, 1, arma::fill::zeros);
  of_the_weight(taut::OrthogonalRegularizer{1}).Evaluate(weight, gradient);
  arma::Mat<TestType> expected(kOutputs, kInputs);
  taut::value_and_grad(taut::OrthogonalRegularizer{1}, taut::view(weight), taut::view(expected));
  CHECK(equal(gradient, arma::vectorise(expected)));
}

TEST_CASE("parameters that no such layer has are refused, and nothing is written") {
  const arma::mat parameters = linear_parameters();
  const auto refused = [&](auto regularizer, const arma::mat& x, arma::uword slopes) {
    arma::mat gradient(slopes, 1, arma::fill::ones);
    const std::string message = message_of([&] { regularizer.Evaluate(x, gradient); });
    CHECK(equal(gradient, arma::vec(slopes, arma::fill::ones)));
    return message;
  };
  // As MultiheadAttention would, whose parameters are several matrices.
  const arma::mat attention(4 * kOutputs * (kOutputs + 1), 1, arma::fill::ones);
  CHECK(refused(of_the_weight(taut::L2{1}), attention, attention.n_elem) ==
        "The layer's parameters are 120 x 1: neither a weight of 5 outputs x 8 inputs nor a column "
        "of that and its bias.");
  const arma::mat turned(kInputs, kOutputs, arma::fill::ones);
  CHECK(refused(of_the_weight(taut::L2{1}), turned, turned.n_elem)
            .starts_with("The layer's parameters are 8 x 5"));
  const taut::MlpackRegularizer<taut::L2> with_one_input_more({1}, kOutputs, kInputs + 1);
  CHECK(refused(with_one_input_more, parameters, parameters.n_elem)
            .starts_with("The layer's parameters are 45 x 1"));
  CHECK(refused(of_the_weight(taut::L2{1}), parameters, 3)
            .starts_with("The gradient must have as many elements"));
  CHECK(refused(taut::MlpackRegularizer<taut::GroupLasso>(), parameters, parameters.n_elem)
            .starts_with("A penalty of rows or columns must be told"));
  CHECK(refused(of_the_weight(taut::L2{-1}), parameters, parameters.n_elem)
            .find("expected a non-negative float") != std::string::npos);
}

template <typename R>
taut::MlpackRegularizer<R> written_and_read(const taut::MlpackRegularizer<R>& regularizer,
                                            std::string& text) {
  std::stringstream stream;
  {
    cereal::JSONOutputArchive archive(stream);
    archive(cereal::make_nvp("penalty", regularizer));
  }
  text = stream.str();
  taut::MlpackRegularizer<R> read;
  cereal::JSONInputArchive archive(stream);
  archive(cereal::make_nvp("penalty", read));
  return read;
}

TEMPLATE_TEST_CASE("a regularizer that was written and read does the same", "", taut::L1, taut::L2,
                   taut::L1L2, taut::OrthogonalRegularizer, taut::SoftOrthogonalRegularizer,
                   taut::GroupLasso) {
  TestType regularizer{0.3};
  if constexpr (requires { regularizer.mode; }) regularizer.mode = taut::Mode::kColumns;
  if constexpr (requires { regularizer.diagonal; }) regularizer.diagonal = false;
  if constexpr (requires { regularizer.l2; }) regularizer.l2 = 0.1;
  auto original = of_the_weight(regularizer);
  std::string text;
  auto read = written_and_read(original, text);
  const arma::mat parameters = linear_parameters();
  arma::mat expected(arma::size(parameters), arma::fill::zeros);
  arma::mat gradient(arma::size(parameters), arma::fill::zeros);
  original.Evaluate(parameters, expected);
  read.Evaluate(parameters, gradient);
  CHECK(equal(gradient, expected));
  CHECK(!equal(gradient, arma::mat(arma::size(gradient), arma::fill::zeros)));
  CHECK(text.find("\"regularizer\"") != std::string::npos);
}

TEST_CASE("what is read keeps every member") {
  std::string text;
  const auto soft = written_and_read(
      of_the_weight(taut::SoftOrthogonalRegularizer{0.3, taut::Mode::kColumns, false, true}), text);
  CHECK(soft.regularizer().factor == 0.3);
  CHECK(soft.regularizer().mode == taut::Mode::kColumns);
  CHECK(!soft.regularizer().diagonal);
  CHECK(soft.regularizer().flatten);
}

}  // namespace
}  // namespace taut_test
