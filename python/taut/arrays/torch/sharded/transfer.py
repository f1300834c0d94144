"""Pieces that travel to their owners, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from taut.arrays.torch.sharded.layout import Layout
from taut.arrays.torch.sharded.owners import Move


def gather(moves: Sequence[Move], shards: Sequence[Tensor]) -> dict[int, Tensor]:
    """Sends this rank's shards to their owners; returns, by their places, the wholes it owns."""
    messages: list[dist.P2POp] = []
    arrivals: list[Callable[[], object]] = []
    wholes: dict[int, Tensor] = {}
    me = dist.get_rank()
    for move in moves:
        (place, layout, strides, *_), shard = move.owned, shards[move.owned.place]
        if me != move.owner_rank:
            if shard.numel():
                messages.append(_message(dist.isend, shard.contiguous(), move.owner_rank, layout))
            continue
        whole = wholes[place] = torch.empty_strided(layout.shape, strides, dtype=shard.dtype)
        for rank, piece in zip(layout.ranks, layout.pieces, strict=True):
            if rank == me:
                piece.write(whole, shard)
            elif not piece.is_empty:
                room = piece.room(whole)
                messages.append(_message(dist.irecv, room, rank, layout))
                if room._base is None:  # else it is in its place
                    arrivals.append(partial(piece.write, whole, room))
    _exchange(messages, arrivals)
    return wholes


def hand_out(moves: Sequence[Move], wholes: Mapping[int, Tensor], shards: Sequence[Tensor]) -> None:
    """Sends the wholes that this rank owns to those that hold their shards, into which they go."""
    messages: list[dist.P2POp] = []
    arrivals: list[Callable[[], object]] = []
    me = dist.get_rank()
    for move in moves:
        (place, layout, *_), shard = move.owned, shards[move.owned.place]
        if me != move.owner_rank:
            if shard.numel():
                is_in_place = shard.is_contiguous()
                room = shard if is_in_place else shard.new_empty(shard.shape)
                messages.append(_message(dist.irecv, room, move.owner_rank, layout))
                if not is_in_place:
                    arrivals.append(partial(shard.copy_, room))
            continue
        for rank, piece in zip(layout.ranks, layout.pieces, strict=True):
            if rank == me:
                shard.copy_(piece.read(wholes[place]))
            elif not piece.is_empty:
                messages.append(_message(dist.isend, piece.read(wholes[place]), rank, layout))
    _exchange(messages, arrivals)


def _message(operation: Any, tensor: Tensor, rank: int, layout: Layout) -> dist.P2POp:
    """Returns one message, of bytes: not every backend knows every dtype."""
    return dist.P2POp(operation, tensor.view(-1).view(torch.uint8), rank, layout.link)


def _exchange(messages: list[dist.P2POp], arrivals: Sequence[Callable[[], object]]) -> None:
    if messages:
        for work in dist.batch_isend_irecv(messages):
            work.wait()
    for arrive in arrivals:
        arrive()
