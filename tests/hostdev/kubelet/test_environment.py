"""From grants to variables, and from variables to a file that says the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hostdev.allocation.env_file import can_be_written, parse_env_file, to_env_file
from hostdev.kubelet.checkpoint import Grant
from hostdev.kubelet.environment import environment


def grant(resource: str, **envs: str) -> Grant:
    return Grant("uid", "compute", resource, (), tuple(envs.items()), ())


def test_numbered_variables_of_two_resources_all_arrive() -> None:
    told = environment([grant("q/a", QAT0="1", QAT1="2"), grant("q/b", QAT0="3", QAT1="2"), grant("q/c", QAT0="4")])

    assert (told.variables, told.lost) == ({"QAT0": "1", "QAT1": "2", "QAT2": "3", "QAT3": "4"}, ())


def test_other_variables_that_differ_are_told() -> None:
    told = environment(
        [grant("a/b", PCI_RESOURCE_X="2"), grant("a/c", PCI_RESOURCE_X="1", Y="same"), grant("d", Y="same")]
    )

    assert (told.variables, told.lost) == ({"PCI_RESOURCE_X": "1", "Y": "same"}, ("PCI_RESOURCE_X",))


NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="="), min_size=1, max_size=20)
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_what_is_written_is_what_is_read(variables: dict[str, str]) -> None:
    file = parse_env_file(to_env_file(variables))

    assert (file.variables, file.findings) == (variables, ())


@given(st.text(max_size=10), st.text(st.characters(exclude_categories=["Cs"]), max_size=10))
def test_what_cannot_be_written_is_known_before(name: str, value: str) -> None:
    if can_be_written(name, value):
        assert parse_env_file(to_env_file({name: value})).variables == {name: value}


@given(st.lists(st.dictionaries(st.sampled_from(["QAT0", "QAT1", "QAT7", "A", "B=C", ""]), VALUES), max_size=5))
def test_no_numbered_value_is_ever_lost(all_envs: list[dict[str, str]]) -> None:
    told = environment([grant(f"r/{number}", **envs) for number, envs in enumerate(all_envs)])

    numbered = {(value) for envs in all_envs for name, value in envs.items() if name.startswith("QAT")}
    assert numbered == {value for name, value in told.variables.items() if name.startswith("QAT")}
    assert not {"B=C", ""} & told.variables.keys()


def test_each_variable_keeps_its_resource_also_when_it_gets_another_number() -> None:
    told = environment(
        [grant("qat.intel.com/sym", QAT0="1", X="x"), grant("qat.intel.com/dc", QAT0="2", QAT1="3", X="x")]
    )

    assert told.resources["X"] == ("qat.intel.com/dc", "qat.intel.com/sym")
    whose = {value: told.resources[name] for name, value in told.variables.items() if name.startswith("QAT")}
    assert whose == {"1": ("qat.intel.com/sym",), "2": ("qat.intel.com/dc",), "3": ("qat.intel.com/dc",)}


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["QAT0", "QAT1", "VFIO_BDF0", "VFIO_BDF1", "PCI_RESOURCE_A", "B"]), VALUES),
        max_size=5,
    )
)
def test_a_variable_is_only_ever_said_to_be_of_a_resource_that_told_its_value(all_envs: list[dict[str, str]]) -> None:
    grants = [grant(f"r.s/{number}", **envs) for number, envs in enumerate(all_envs)]
    told = environment(grants)

    assert told.resources.keys() == told.variables.keys()
    for name, value in told.variables.items():
        stem = name.rstrip("0123456789")
        for resource in told.resources[name]:
            envs = all_envs[int(resource.partition("/")[2])]
            assert value in {other for key, other in envs.items() if key.rstrip("0123456789") == stem}
