"""Globs match as fnmatch's do, and take no time that could be grown by whoever writes them."""

import subprocess
import sys
from fnmatch import fnmatchcase

import numpy as np
import pytest
from hostile import Own, built, configs, odd_things
from hypothesis import given
from hypothesis import strategies as st
from taut import Penalties
from taut.regularizers import L2
from taut.rules import _matches
from watch import nothing_runs

X = np.ones(3)
globs = st.one_of(st.text("ab[]*?!-", max_size=12), st.text(max_size=6))


@given(globs, st.one_of(st.text("ab[]!-", max_size=8), st.text(max_size=6)))
def test_a_glob_matches_what_fnmatch_says(pattern, name):
    assert _matches(name, pattern) == (name == pattern or fnmatchcase(name, pattern))


@given(globs, st.lists(st.text("ab[]!-", max_size=8), unique=True, max_size=4))
def test_the_parameters_that_a_rule_matches_are_those_with_a_penalty(pattern, names):
    penalties = Penalties([(pattern, L2(1.0))], allow_unused=True)
    expected = [each for each in names if each == pattern or fnmatchcase(each, pattern)]
    parameters = {each: X.copy() for each in names}
    with nothing_runs():
        assert list(penalties.breakdown(parameters)) == expected
        assert penalties(parameters) == 3.0 * len(expected)


@given(st.lists(st.one_of(st.tuples(globs, configs()), odd_things), max_size=3), st.booleans())
def test_rules_are_taken_or_refused(rules, allow_unused):
    try:
        with nothing_runs():
            penalties = Penalties(built(rules), allow_unused=allow_unused)
            penalties({"a": X, "b/a": X[:2]})
    except (TypeError, ValueError, NotImplementedError, Own):
        return
    assert len(penalties.rules) == len(rules)


# The lengths are such that a matcher which tries all ways, or begins anew for each bracket, would
# not come back.
HARD = {
    "stars": ("*a" * 5_000 + "*b", "a" * 5_000),
    "stars and any": ("*?a" * 2_000 + "b", "a" * 5_000),
    "stars and brackets": ("*[ab]" * 2_000 + "c", "ab" * 2_000),
    "brackets that nothing closes": ("[" * 1_000_000, "a"),
    "negated ones": ("[!" * 500_000, "a"),
    "behind one that is closed": ("[a]" + "[a-" * 300_000, "a"),
    "behind one that a bracket of its own does not close": ("[]" + "[a-" * 300_000, "a"),
    "ranges": ("[" + "a-z" * 100_000 + "]", "b"),
    "reversed ranges": ("[" + "z-a" * 10_000 + "]", "b"),
}


@pytest.mark.parametrize("kind", HARD)
def test_no_glob_takes_long(kind):
    pattern, name = HARD[kind]
    program = (
        "import sys, taut; pattern, name = sys.stdin.read().split();"
        "taut.Penalties([(pattern, 'l2')], allow_unused=True)({name: [1.0]})"
    )
    # It takes a moment; the time is what tells that from for ever.
    subprocess.run(
        [sys.executable, "-c", program],
        input=f"{pattern} {name}",
        text=True,
        check=True,
        timeout=120,
    )
