// The kernels of one level. Compiled once per level, with TAUT_LEVEL naming its namespace.

#include "kernels/kernels.hpp"

#include "kernels/elementwise/pass.hpp"
#include "kernels/elementwise/towards.hpp"
#include "kernels/gram/finish.hpp"
#include "kernels/gram/pack.hpp"
#include "kernels/gram/signs.hpp"
#include "kernels/gram/stream.hpp"
#include "kernels/gram/tile.hpp"

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
      .stream_pack = stream_pack<Storage>,
      .stream_tile = stream_tile<Storage>,
      .stream_finish = stream_finish<Storage>,
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
};

}  // namespace taut::TAUT_LEVEL
