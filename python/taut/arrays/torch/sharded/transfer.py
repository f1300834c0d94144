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


def gather(moves: Sequence[Move], *shards: Sequence[Tensor]) -> list[dict[int, Tensor]]:
    """Sends this rank's shards to their owners.

    Args:
        moves: What is to be moved.
        *shards: Lists of tensors that lie alike, as weights and their gradients.

    Returns:
        For each list the wholes that this rank owns, by their places.
    """
    messages: list[dist.P2POp] = []
    arrivals: list[Callable[[], object]] = []
    found: list[dict[int, Tensor]] = [{} for _ in shards]
    me = dist.get_rank()
    for move in moves:
        (place, layout, strides, *_), owner = move.owned, move.owner_rank
        for wholes, own in zip(found, shards, strict=True):
            shard = own[place]
            if me != owner:
                if shard.numel():
                    messages.append(_message(dist.isend, shard.contiguous(), owner, layout))
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
    return found


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


def _exchange(messages: Sequence[dist.P2POp], arrivals: Sequence[Callable[[], object]]) -> None:
    """Sends and receives all messages, and puts what has arrived into its places."""
    of_group: dict[Any, list[dist.P2POp]] = {}
    for message in messages:
        of_group.setdefault(message.group, []).append(message)
    works = [work for batch in of_group.values() for work in dist.batch_isend_irecv(batch)]
    for work in works:
        work.wait()
    for arrive in arrivals:
        arrive()
