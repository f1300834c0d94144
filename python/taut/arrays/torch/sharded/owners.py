"""Tensors that are computed as a whole: which rank does it, and when.

Which way a tensor goes follows from its shape alone, so that all ranks know it without a word.
Owners are chosen greedily: the largest work first, n * n * d for n vectors of d elements, to the
rank that has least so far. Work is counted for each set of ranks by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from taut.arrays.torch.sharded.layout import Layout

# What an owner holds at a time, of weights and gradients: one tensor, or more up to this.
TURN_BYTES = 256 << 20


class Owned(NamedTuple):
    """A tensor that is computed as a whole."""

    place: int  # among the tensors of a call
    layout: Layout
    strides: tuple[int, ...]  # of the whole
    element_size: int
    vectors: int  # how many there are, each of which meets all; 1 where none meets another


class Move(NamedTuple):
    """A tensor that is computed as a whole, and the number of its owner among its ranks."""

    owned: Owned
    owner: int

    @property
    def owner_rank(self) -> int:
        """The owner's rank in the world."""
        return self.owned.layout.ranks[self.owner]


def turns(owned: Sequence[Owned]) -> list[list[Move]]:
    """Returns who owns what, in turns that keep what an owner holds below `TURN_BYTES`.

    Here all work is known: a tensor that is more than a rank's share of it has one owner
    nevertheless, since no kernel computes the rows that a rank has.
    """
    loads: dict[tuple[int, ...], list[int]] = {}
    chosen: dict[int, int] = {}  # the owners, by place
    for each in sorted(owned, key=_work, reverse=True):
        load = loads.setdefault(each.layout.ranks, [0] * len(each.layout.ranks))
        owner = load.index(min(load))
        load[owner] += _work(each)
        chosen[each.place] = owner
    found: list[list[Move]] = []
    held: dict[tuple[tuple[int, ...], int], tuple[int, int]] = {}  # the turn, and bytes in it
    for each in owned:
        key = each.layout.ranks, chosen[each.place]
        size = 2 * each.element_size * _count(each)
        turn, filled = held.get(key, (0, 0))
        if filled and filled + size > TURN_BYTES:
            turn, filled = turn + 1, 0
        held[key] = turn, filled + size
        while len(found) <= turn:
            found.append([])
        found[turn].append(Move(each, chosen[each.place]))
    return found


def _count(owned: Owned) -> int:
    return math.prod(owned.layout.shape)


def _work(owned: Owned) -> int:
    return _count(owned) * owned.vectors
