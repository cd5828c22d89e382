"""docs/gitops.md, rendered: a tagged remote base, Argo CD, Flux, and one place for the images."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hostdev.manifest import images
from tests.deploy.admission import admit
from tests.deploy.images import HOOKS, LIST, text
from tests.deploy.kubectl import by_name, kubectl, skip_without
from tests.deploy.kustomize import render
from tests.deploy.manifests import DEPLOY, FOLDERS, VERSION
from tests.deploy.pods import DEVICES, launcher
from tests.deploy.schemas import TEXT, exactly, many
from tests.house import ROOT

PAGE = (ROOT / "docs/gitops.md").read_text()
BLOCKS = [
    block
    for text in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    for block in yaml.safe_load_all(text)
]
KUSTOMIZATIONS = [block for block in BLOCKS if block["apiVersion"].startswith("kustomize.config")]
(APPLICATION,) = (block for block in BLOCKS if block["kind"] == "Application")
(REPOSITORY,) = (block for block in BLOCKS if block["kind"] == "GitRepository")
(FLUX,) = (block for block in BLOCKS if block["apiVersion"].startswith("kustomize.toolkit"))
REMOTE = "https://git.example/passgate.git"
EXAMPLES = sorted(path.parent for path in DEPLOY.glob("examples/*/kustomization.yaml"))
TAG = f"v{VERSION}"
SET = {
    "passgate-hook": f"registry.example/passgate-hook:{VERSION}",
    "passgate-node": f"registry.example/passgate-node:{VERSION}",
}
OTHERS = {
    "passgate-hook": "mirror.example/team/passgate-hook@sha256:" + "0" * 64,
    "passgate-node": "mirror.example/n:7",
}


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the tag, as a user's copy of this one has it."""
    place = tmp_path_factory.mktemp("remote") / "passgate.git"
    shutil.copytree(DEPLOY, place / "deploy", symlinks=True)
    named = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "tag.gpgsign=false")
    for words in (("init", "-q"), ("add", "-A"), (*named, "commit", "-q", "-m", "x"), (*named, "tag", TAG)):
        subprocess.run(["git", *words], cwd=place, check=True)
    return place


def named_images(change: dict[str, str]) -> list[dict[str, str]]:
    """What `kustomize edit set image` writes."""
    found = []
    for name, image in change.items():
        place, at, digest = image.partition("@")
        place, _, tag = (place, "", "") if at else place.rpartition(":")
        found.append({"name": name, "newName": place, **({"digest": digest} if at else {"newTag": tag})})
    return found


def pulled(objects: list[dict[str, Any]]) -> set[str]:
    """Every image of ours in what is applied, wherever it stands."""
    found = set()
    for one in objects:
        for image in re.findall(r'"((?:[\w.-]+/)*[\w.-]+[:@][\w:.]+)\\?"', json.dumps(one)):
            if "passgate" in image or image in OTHERS.values():
                found.add(image)
    return {image for image in found if "/" in image or image.startswith("passgate-")}


def sidecar_of(policy: dict[str, Any]) -> str:
    """The image of the container that the policy adds to a pod."""
    stored = admit(policy, launcher(DEVICES, sidecars=0, plugins=True))
    image: str = stored["spec"]["containers"][-1]["image"]
    return image


def annotated(objects: list[dict[str, Any]]) -> dict[str, str]:
    """The image in the annotation of each VM."""
    templates = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]
        for one in objects
        if one["kind"] == "VirtualMachine" and "metadata" in one["spec"]["template"]
    }
    return {name: json.loads(one["annotations"][HOOKS])[0]["image"] for name, one in templates.items()}


def local(block: dict[str, Any], place: Path) -> dict[str, Any]:
    """The page's kustomization with folders of a checkout in place of its remote ones."""
    turned = json.dumps(block).replace(f"{REMOTE}//", f"{place}/").replace(f"?ref={TAG}", "")
    found: dict[str, Any] = json.loads(turned)
    return found


@pytest.mark.parametrize("block", KUSTOMIZATIONS, ids=["overlay and VM", "VMs alone"])
def test_the_images_reach_everything(block: dict[str, Any], tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    shutil.copytree(DEPLOY, tmp_path / "passgate/deploy")
    for change in (SET, OTHERS):
        written = {**local(block, Path("../passgate")), "images": named_images(change)}
        (own / "kustomization.yaml").write_text(yaml.safe_dump(written))
        objects = render(own)

        assert set(annotated(objects).values()) == {change["passgate-hook"]}
        assert pulled(objects) <= set(change.values())
        for policy in (one for one in objects if one["kind"] == "MutatingAdmissionPolicy"):
            assert sidecar_of(policy) == change["passgate-hook"]
        assert "PodTemplate" not in {one["kind"] for one in objects}


@pytest.mark.parametrize("block", KUSTOMIZATIONS, ids=["overlay and VM", "VMs alone"])
def test_a_remote_base_with_a_tag(block: dict[str, Any], remote: Path, tmp_path: Path) -> None:
    """kubectl fetches it by git, from a file instead of a server."""
    skip_without()
    text = yaml.safe_dump(block).replace(REMOTE, f"file://{remote}")
    (tmp_path / "kustomization.yaml").write_text(text)

    objects = kubectl(tmp_path)

    assert pulled(objects) <= set(SET.values())
    assert set(annotated(objects).values()) == {SET["passgate-hook"]}


@pytest.mark.parametrize("folder", ["overlays/plugin", "overlays/plugin-launcher-hooks"])
def test_images_that_are_set_in_the_overlay_itself(folder: str, tmp_path: Path) -> None:
    """As `kustomize edit set image`, Argo CD and Flux do it."""
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    place = tmp_path / "deploy" / folder
    written = yaml.safe_load((place / "kustomization.yaml").read_text())
    (place / "kustomization.yaml").write_text(yaml.safe_dump({**written, "images": named_images(OTHERS)}))
    objects = render(place)

    (policy,) = (one for one in objects if one["kind"] == "MutatingAdmissionPolicy")
    assert sidecar_of(policy) == OTHERS["passgate-hook"]
    assert pulled(objects) == set(OTHERS.values())


def test_kubectl_says_the_same(tmp_path: Path) -> None:
    skip_without()
    shutil.copytree(DEPLOY, tmp_path / "passgate/deploy")
    own = tmp_path / "own"
    own.mkdir()
    for block in KUSTOMIZATIONS:
        (own / "kustomization.yaml").write_text(yaml.safe_dump(local(block, Path("../passgate"))))

        assert by_name(kubectl(own)) == by_name(render(own))


def test_argo_cd(tmp_path: Path) -> None:
    source = exactly(
        {"repoURL": TEXT, "targetRevision": TEXT, "path": TEXT, "kustomize": exactly({"images": many(TEXT)})},
        *("repoURL", "targetRevision", "path"),
    )
    assert APPLICATION["spec"].keys() == {"project", "source", "destination", "syncPolicy"}
    _fits(APPLICATION["spec"]["source"], source)
    assert "prune" not in APPLICATION["spec"]["syncPolicy"]["automated"]
    told = dict(image.split("=") for image in APPLICATION["spec"]["source"]["kustomize"]["images"])

    _applied(APPLICATION["spec"]["source"]["path"], told, tmp_path)
    assert APPLICATION["spec"]["source"]["targetRevision"] == TAG


def test_flux(tmp_path: Path) -> None:
    image = exactly({"name": TEXT, "newName": TEXT, "newTag": TEXT}, "name")
    assert FLUX["spec"].keys() == {"interval", "sourceRef", "path", "prune", "images"}
    _fits(FLUX["spec"]["images"], many(image))
    assert FLUX["spec"]["sourceRef"]["name"] == REPOSITORY["metadata"]["name"]
    assert (REPOSITORY["spec"]["ref"], REPOSITORY["spec"]["url"]) == ({"tag": TAG}, REMOTE)
    told = {one["name"]: f"{one['newName']}:{one['newTag']}" for one in FLUX["spec"]["images"]}

    _applied(FLUX["spec"]["path"], told, tmp_path)


def _applied(path: str, told: dict[str, str], folder: Path) -> None:
    """What the controller does: the images go into the kustomization of the path."""
    shutil.copytree(DEPLOY, folder / "deploy")
    file = folder / path / "kustomization.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "images": named_images(told)}))

    assert pulled(render(file.parent)) == set(told.values()) == set(SET.values())


def _fits(value: Any, schema: dict[str, Any]) -> None:
    jsonschema.Draft7Validator(schema).validate(value)


def test_the_list_to_mirror_is_what_is_pulled() -> None:
    """`python -m tests.deploy.images` writes it."""
    assert LIST.read_text() == text()
    assert set(LIST.read_text().split()) == {image.rpartition("/")[2] for image in (images.HOOK, images.NODE)}
    assert "deploy/images/list.txt" in PAGE


def test_the_names_are_those_of_one_place() -> None:
    (names,) = yaml.safe_load_all((DEPLOY / "images/names.yaml").read_text())
    (container,) = names["template"]["spec"]["containers"]

    assert f"{images.REGISTRY}/{container['image']}" == images.HOOK
    assert images.VERSION == VERSION
    vms = [one for file in DEPLOY.glob("examples/*/*.yaml") for one in yaml.safe_load_all(file.read_text())]
    assert set(annotated(vms).values()) == {images.HOOK}


def test_nothing_in_deploy_is_a_link() -> None:
    """kustomize follows none out of its folder."""
    assert [path for path in DEPLOY.rglob("*") if path.is_symlink()] == []


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda path: path.name)
def test_examples_alone(folder: Path, tmp_path: Path) -> None:
    """Vendored without the rest of the tree."""
    shutil.copytree(folder, tmp_path / "vendored")
    alone = render(tmp_path / "vendored")

    assert {one["kind"] for one in alone} == {"VirtualMachine"}
    assert alone == render(folder)


def test_every_example_can_be_taken() -> None:
    folders = [path for path in (DEPLOY / "examples").iterdir() if path.is_dir()]

    assert [path.name for path in folders if not (path / "kustomization.yaml").is_file()] == []


def test_a_cluster_where_nothing_has_the_label(tmp_path: Path) -> None:
    """The transformer leaves the others' objects alone."""
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    own = tmp_path / "own"
    own.mkdir()
    text = {"resources": ["../deploy/overlays/agent"], "transformers": ["../deploy/images/everywhere"]}
    (own / "kustomization.yaml").write_text(yaml.safe_dump(text))

    assert by_name(render(own)) == by_name(render(DEPLOY / "overlays/agent"))
    assert [render(DEPLOY / folder) for folder in FOLDERS]
