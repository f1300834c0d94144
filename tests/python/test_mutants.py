"""The list of mutations that `make mutants` tries: what is changed is still where it says."""

import sys
from pathlib import Path

import pytest

MUTANTS = Path(__file__).parents[1] / "mutants"


@pytest.fixture
def mutation(monkeypatch):
    monkeypatch.syspath_prepend(MUTANTS)
    import mutation

    yield mutation
    for name in [name for name in sys.modules if name.partition(".")[0] in ("changes", "mutation")]:
        del sys.modules[name]


def test_each_mutation_changes_what_stands_there_once_and_names_its_tests(mutation):
    from changes import ALL

    mutations = [each for kind in ALL.values() for each in kind]
    assert mutation.problems(mutations) == []
    assert len(mutations) >= 40


@pytest.mark.parametrize(
    ("old", "new", "tests", "problem"),
    [
        ("first = matching[0]", "first = matching[1]", "test_penalties.py", None),
        ("first = matching[0]", "first = matching[1]", "test_nothing.py", "there is no"),
        ("first = matching[0]", "first = matching[1]", "", "it names no test"),
        ("first = matching[0]", "first = ", "test_penalties.py", "invalid syntax"),
        ("first = matching[0]", "first = matching[0]", "test_penalties.py", "it changes nothing"),
        ("first = matching[3]", "first = matching[1]", "test_penalties.py", "stands 0 times"),
        ("import", "export", "test_penalties.py", "times in python"),
    ],
)
def test_what_is_wrong_with_a_mutation_is_told(mutation, old, new, tests, problem):
    one = mutation.Mutation("one", "python/taut/rules.py", old, new, python=tests)
    found = mutation.problems([one])
    assert [problem in each for each in found] == ([] if problem is None else [True])


def test_two_mutations_of_one_name_are_told(mutation):
    one = mutation.Mutation("one", "README.md", "# ", "", python="test_readme.py")
    assert "one: 2 mutations have this name" in mutation.problems([one, one])
