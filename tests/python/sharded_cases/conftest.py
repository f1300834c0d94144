"""The process group of a world, which lives as long as its process's tests."""

import datetime
import gc
import sys
from pathlib import Path

import pytest
import torch.distributed as dist

sys.path.append(str(Path(__file__).parents[1]))

SECONDS = 60  # after which a rank that is waited for in vain is an error


@pytest.fixture(scope="session", autouse=True)
def world():
    dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=SECONDS))
    yield
    gc.collect()  # meshes and models hold the group, whose threads must end with it
    dist.barrier()
    dist.destroy_process_group()


def pytest_collection_modifyitems(items):
    """Leaves out what asks for another size of the world, which another world runs."""
    from world import SIZE

    items[:] = [
        item
        for item in items
        if SIZE in next((mark.args for mark in item.iter_markers("sizes")), (SIZE,))
    ]


def pytest_configure(config):
    config.addinivalue_line("markers", "sizes(*sizes): the sizes of worlds that a test is for")
