"""How many examples are tried: a few in the tests, as many as there is time for in `make fuzz`."""

import os

from hypothesis import HealthCheck, settings

if examples := os.environ.get("TAUT_FUZZ_EXAMPLES"):
    settings.register_profile(
        "fuzz",
        settings.get_profile("taut"),
        derandomize=False,
        max_examples=int(examples),
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("fuzz")
