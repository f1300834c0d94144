"""Tensors that are computed as a whole: which rank does it, and when.

Which way a tensor goes follows from its shape alone, so that all ranks know it without a word.
Owners are chosen greedily: the largest work first, n * n * d for n vectors of d elements, to the
rank that has least so far. Work is counted for each set of ranks by itself.

Large tensors go to all ranks where all are done earlier so, if the kernel knows ranges of vectors
and each rank holds one: each computes its own, and nothing travels back. That takes almost twice
the work in all, since a pair of vectors of two ranks is computed by both; and every rank receives
the whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from taut.arrays.torch.sharded.layout import Layout

# What an owner holds at a time, of weights and gradients: one tensor, or more up to this.
TURN_BYTES = 256 << 20

# How much work, in products of two numbers, could be done while one number is received. It decides
# which way large tensors go, and must be the same on all ranks.
NUMBER_RECEIVED = 64


class Owned(NamedTuple):
    """A tensor that is computed as a whole."""

    place: int  # among the tensors of a call
    layout: Layout
    strides: tuple[int, ...]  # of the whole
    element_size: int
    vectors: int  # how many there are, each of which meets all; 1 where none meets another
    own: tuple[int, int] | None  # this rank's, begin to end, if each rank may compute its own


class Move(NamedTuple):
    """A tensor that is computed as a whole, and the number of its owner among its ranks."""

    owned: Owned
    owner: int

    @property
    def owner_rank(self) -> int:
        """The owner's rank in the world."""
        return self.owned.layout.ranks[self.owner]


def split(owned: Sequence[Owned]) -> tuple[list[Owned], list[Owned]]:
    """Returns what owners compute, and that of which every rank computes its own vectors.

    The latter are as many of the largest ones as let the last rank finish first: with P ranks, work
    W by an owner takes the longer of the largest one and the mean of all, and a tensor by vectors
    W * (2 - 1 / P) / P for every rank. A number that is received counts as `NUMBER_RECEIVED`.
    """
    of_ranks: dict[tuple[int, ...], list[Owned]] = {}
    for each in owned:
        of_ranks.setdefault(each.layout.ranks, []).append(each)
    places = {each.place for group in of_ranks.values() for each in _by_vectors(group)}
    by_owners = [each for each in owned if each.place not in places]
    by_vectors = [each for each in owned if each.place in places]
    return by_owners, by_vectors


def _by_vectors(group: Sequence[Owned]) -> list[Owned]:
    """Returns what is computed by vectors, of tensors on the same ranks."""
    count = len(group[0].layout.ranks)
    candidates = sorted((each for each in group if each.own is not None), key=_work, reverse=True)
    others = [_time_by_owner(each) for each in group if each.own is None]
    times: list[float] = []
    for taken in range(len(candidates) + 1):
        rest = [*others, *map(_time_by_owner, candidates[taken:])]
        by_owners = max(max(rest, default=0.0), sum(rest) / count)
        times.append(by_owners + sum(_time_by_vectors(each) for each in candidates[:taken]))
    return candidates[: times.index(min(times))]


def _time_by_owner(owned: Owned) -> float:
    return _work(owned) + 2.0 * NUMBER_RECEIVED * _count(owned)  # there, and back


def _time_by_vectors(owned: Owned) -> float:
    count = len(owned.layout.ranks)
    return _work(owned) * (2 - 1 / count) / count + NUMBER_RECEIVED * _count(owned)


def everywhere(owned: Owned) -> list[Move]:
    """Returns what brings a tensor to all of its ranks."""
    return [Move(owned, rank) for rank in range(len(owned.layout.ranks))]


def turns(owned: Sequence[Owned]) -> list[list[Move]]:
    """Returns who owns what, in turns that keep what an owner holds below `TURN_BYTES`."""
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
