// LibTorch's tensors and modules: what penalty.hpp and batch.hpp have, on `at::Tensor`; penalties
// as nodes of autograd's graph; and the parameters of a `torch::nn::Module` by rules on their
// names. Not included by taut.hpp; LibTorch (its CMake package is Torch) is yours to find.
//
// In namespace taut::torch, `torch` is taut's own: write `::torch` there, as these headers do.

#ifndef TAUT_TORCH_HPP_
#define TAUT_TORCH_HPP_

#include "taut/language.hpp"  // before LibTorch's, which are long to read
#include "taut/torch/penalties.hpp"
#include "taut/torch/penalty.hpp"
#include "taut/torch/tensor.hpp"

#endif  // TAUT_TORCH_HPP_
