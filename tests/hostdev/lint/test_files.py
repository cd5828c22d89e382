"""Where files are found: names, directories, patterns, charts and patches; and what of them is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostdev.lint.files import read_files
from tests.hostdev.lint.run import vm

POD = "kind: Pod\n"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in {
        "vms/a.yaml": vm(),
        "vms/b.yml": vm(),
        "vms/deep/c.json": '{"kind": "VirtualMachine"}',
        "vms/readme.md": vm(),
        "vms/pod.yaml": POD,
        ".git/d.yaml": vm(),
        "chart/Chart.yaml": "name: chart\n",
        "chart/templates/vm.yaml": "{{ .Values.x }}\nkind: VirtualMachine\n",
        "kustomize/base/vm.yaml": vm(),
        "kustomize/base/kustomization.yaml": "resources:\n- vm.yaml\n",
        "kustomize/prod/kustomization.yaml": "resources: [../base]\npatches:\n- path: bigger.yaml\n",
        "kustomize/prod/bigger.yaml": "kind: VirtualMachine\n",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*given: str) -> list[str]:
    return [file.name for file in read_files(given)]


def test_a_directory_is_read_in_order_without_hidden_ones(tree: Path) -> None:
    assert names("vms") == ["vms/a.yaml", "vms/b.yml", "vms/pod.yaml", "vms/deep/c.json"]
    assert not [name for name in names(".") if ".git" in name]
    assert tree


@pytest.mark.usefixtures("tree")
def test_a_pattern_and_a_name_that_it_means_are_one_file() -> None:
    assert names("vms/a.yaml", "vms/*.y*ml", "./vms/a.yaml") == ["vms/a.yaml", "vms/b.yml", "vms/pod.yaml"]
    assert names("**/c.json") == ["vms/deep/c.json"]
    assert names("vms/readme.md") == ["vms/readme.md"]


@pytest.mark.usefixtures("tree")
def test_what_holds_nothing_of_kubevirt_is_not_read_whole() -> None:
    found = {file.name: file.data for file in read_files(["vms"])}

    assert found["vms/pod.yaml"] == b""
    assert found["vms/a.yaml"] == vm().encode()
    assert next(read_files(["vms/pod.yaml"])).data == POD.encode()


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize("name", ["nowhere.yaml", "vms/*.nothing"])
def test_a_name_that_means_nothing_is_an_error(name: str) -> None:
    (file,) = read_files([name])

    assert file.error is not None
    assert (file.error.code, file.is_named) == ("unreadable-file", True)


@pytest.mark.usefixtures("tree")
def test_a_helm_chart_and_a_patch_are_known_by_the_files_beside_them() -> None:
    found = {file.name: file for file in read_files(["."])}

    assert found["./chart/templates/vm.yaml"].chart == "./chart"
    assert found["./kustomize/prod/bigger.yaml"].overlay == "./kustomize/prod"
    assert found["./kustomize/base/vm.yaml"].overlay == ""


def test_a_fifo_into_which_nothing_writes_is_empty(tmp_path: Path) -> None:
    import os  # noqa: PLC0415

    os.mkfifo(tmp_path / "fifo.yaml")

    (file,) = read_files([str(tmp_path / "fifo.yaml")])
    assert file.data == b""
