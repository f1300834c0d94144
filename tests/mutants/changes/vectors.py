"""Mutations of the kernels of penalties of vectors: gram, group lasso, soft orthogonality."""

from mutation import Mutation

_GRAM = "cpp/src/kernels/gram/"
_LASSO = "cpp/src/kernels/group_lasso/"
_SOFT = "cpp/src/kernels/soft_orthogonal/"

MUTATIONS = [
    Mutation(
        "gram-is-scaled-from-2-to-the-60-on",
        _GRAM + "shape.hpp",
        "kSafeLargest = 0x1p32;",
        "kSafeLargest = 0x1p60;",
        cpp="gram_range",
    ),
    Mutation(
        "gram-is-scaled-below-2-to-the-minus-60",
        _GRAM + "shape.hpp",
        "kSafeSmallest = 0x1p-32;",
        "kSafeSmallest = 0x1p-60;",
        cpp="gram_range",
    ),
    Mutation(
        "the-largest-float64-is-not-finite",
        _GRAM + "measure.hpp",
        "0x7f800000 : 0x7ff0000000000000;",
        "0x7f800000 : 0x7fefffffffffffff;",
        cpp="gram_range",
    ),
    Mutation(
        "the-largest-float32-is-not-finite",
        _GRAM + "measure.hpp",
        "0x7f800000 : 0x7ff0000000000000;",
        "0x7f7fffff : 0x7ff0000000000000;",
        cpp="gram_range",
    ),
    Mutation(
        "vectors-are-clamped-at-another-norm",
        _GRAM + "measure.hpp",
        "kSmallestNorm = 1e-7;",
        "kSmallestNorm = 1e-8;",
        cpp="gram_range",
    ),
    Mutation(
        "clamped-vectors-are-projected",
        _GRAM + "finish.hpp",
        "matrix_.clamped[first_ + v] ? 0 : -*projection;",
        "matrix_.clamped[first_ + v] ? -*projection : -*projection;",
        cpp="gram_range",
    ),
    Mutation(
        "vectors-meet-themselves",
        _GRAM + "tile.hpp",
        "set_diagonal(place, T{0}, tile);",
        "set_diagonal(place, T{1}, tile);",
        cpp="gram",
    ),
    Mutation(
        "pairs-of-a-diagonal-tile-count-twice",
        _GRAM + "tile.hpp",
        "return place.diagonal() ? sum / 2 : sum;",
        "return place.diagonal() ? sum : sum;",
        cpp="gram",
    ),
    Mutation(
        "a-signed-sum-with-another-sign",
        _GRAM + "signs.hpp",
        "sums[6] = x2 - difference;",
        "sums[6] = x2 + difference;",
        cpp="gram",
    ),
    Mutation(
        "zeros-have-a-positive-sign",
        _GRAM + "codes.hpp",
        "kCodes == Coded::kPositive ? values > 0 : values < 0",
        "kCodes == Coded::kPositive ? values >= 0 : values < 0",
        cpp="gram_zeros",
    ),
    Mutation(
        "a-depth-block-forgets-those-before",
        _GRAM + "products.hpp",
        "kFirst ? sums[i][j] : load<V>(to) + sums[i][j]",
        "kFirst ? sums[i][j] : load<V>(to) * 0 + sums[i][j]",
        cpp="gram",
    ),
    Mutation(
        "an-exact-dot-product-of-subnormals-with-a-hidden-bit",
        _GRAM + "exact_dot.hpp",
        "hidden = exponent == 0 ? 0 : 1;",
        "hidden = exponent == 0 ? 1 : 1;",
        cpp="gram_range",
    ),
    Mutation(
        "a-group-of-zeros-has-a-slope",
        _LASSO + "finish.hpp",
        "return choose((Int64s)(norms == 0), 0 * coefficient, within);",
        "return within;",
        cpp="group_lasso",
    ),
    Mutation(
        "small-groups-change-their-sign",
        _LASSO + "finish.hpp",
        "choose((Int64s)(norms == 0) | (Int64s)(left < 0), Doubles{}, left)",
        "choose((Int64s)(norms == 0), Doubles{}, left)",
        cpp="group_lasso",
    ),
    Mutation(
        "the-tail-of-each-line-is-left-out",
        _LASSO + "across.hpp",
        "  copy_few(sums + whole, last_sums, tail);",
        "  copy_few(last_sums, sums + whole, tail);",
        cpp="group_lasso",
    ),
    Mutation(
        "soft-pairs-beside-the-diagonal-count-once",
        _SOFT + "gram_tile.hpp",
        "return place.diagonal() ? sum : 2 * sum;",
        "return place.diagonal() ? sum : sum;",
        cpp="soft_orthogonal",
    ),
    Mutation(
        "soft-squares-are-drawn-to-minus-1",
        _SOFT + "gram_tile.hpp",
        "static_cast<double>(square) - one",
        "static_cast<double>(square) + one",
        cpp="soft_orthogonal",
    ),
    Mutation(
        "soft-norms-are-added",
        _SOFT + "multiply.hpp",
        "const Doubles negative = -load<Doubles>(norms + group.first + v);",
        "const Doubles negative = load<Doubles>(norms + group.first + v);",
        cpp="soft_orthogonal",
    ),
]
