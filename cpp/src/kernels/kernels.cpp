// The kernels of one level. Compiled once per level, with TAUT_LEVEL naming its namespace.

#include "kernels/kernels.hpp"

#include "kernels/elementwise/pass.hpp"
#include "kernels/elementwise/towards.hpp"
#include "kernels/gram/finish.hpp"
#include "kernels/gram/pack.hpp"
#include "kernels/gram/signs.hpp"
#include "kernels/gram/stream.hpp"
#include "kernels/gram/tile.hpp"
#include "kernels/group_lasso/kernel.hpp"
#include "kernels/soft_orthogonal/copies.hpp"
#include "kernels/soft_orthogonal/gram_tile.hpp"
#include "kernels/soft_orthogonal/multiply.hpp"

namespace taut::TAUT_LEVEL {
namespace {

template <typename Storage>
constexpr GramKernel gram_kernel() {
  using T = ComputeOf<Storage>;
  return {
      .compute_size = sizeof(T),
      .register_columns = GramShape<T>::kColumns,
      .vector_multiple = GramShape<T>::kVectorMultiple,
      .panel = GramShape<T>::kPanel,
      .pack = pack<Storage>,
      .tile = tile<Storage>,
      .tile_scratch = kTileScratch<T>,
      .multiply_signs = multiply_signs<T>,
      .sign_scratch = kSignScratch<T>,
      .finish = finish<Storage>,
      .copy_panels = copy_panels<Storage>,
      .stream_pack = stream_pack<Storage>,
      .stream_tile = stream_tile<Storage>,
      .stream_finish = stream_finish<Storage>,
  };
}

template <typename Storage>
constexpr SoftOrthogonalKernel soft_orthogonal_kernel() {
  using T = ComputeOf<Storage>;
  return {
      .pack = soft_pack<Storage>,
      .scale = soft_scale<T>,
      .pack_turned = soft_pack_turned<Storage>,
      .multiply_window = soft_multiply_window<T>,
      .finish_tile = soft_finish_tile<T>,
      .multiply = soft_multiply<Storage>,
      .scratch = kSoftScratch<T>,
  };
}

}  // namespace

// In the order of DType.
constexpr Kernels kernels = {
    .elementwise = {elementwise_kernel<double>(towards_kernel<double>()),
                    elementwise_kernel<float>(towards_kernel<float>()),
                    elementwise_kernel<Float16>(towards_kernel<Float16>()),
                    elementwise_kernel<BFloat16>(towards_kernel<BFloat16>())},
    .gram = {gram_kernel<double>(), gram_kernel<float>(), gram_kernel<Float16>(),
             gram_kernel<BFloat16>()},
    .soft_orthogonal = {soft_orthogonal_kernel<double>(), soft_orthogonal_kernel<float>(),
                        soft_orthogonal_kernel<Float16>(), soft_orthogonal_kernel<BFloat16>()},
    .group_lasso = {group_lasso_kernel<double>(), group_lasso_kernel<float>(),
                    group_lasso_kernel<Float16>(), group_lasso_kernel<BFloat16>()},
};

}  // namespace taut::TAUT_LEVEL
