"""`passgate why`: the answer in its forms, the cluster through a kubectl, dumps that are written and read again."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from domxml.errors import ExitCode
from tests.hostdev.cli.running import COMMAND, Ran, process
from tests.hostdev.cli.validator import errors, schema
from tests.hostdev.why.cases import ANSWERED, CASES, PANIC, RUNNING, SERVING, agent, hook_log, recorded, vmi
from tests.hostdev.why.fakekubectl import calls, write_kubectl

POD = "virt-launcher-withpol"
LIVE = [name for name, case in CASES.items() if case.objects]
SECRETS = (
    "s3cr3t-in-userdata",
    "s3cr3t-in-env",
    "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl",
    "s3cr3t-last-applied",
    "hunter2hunter2",
)


def dump_of(directory: Path, name: str) -> str:
    """A dump with a case."""
    case = CASES[name]
    directory.mkdir(exist_ok=True)
    (directory / "objects.json").write_text(json.dumps({"kind": "List", "items": case.objects}))
    for file, text in case.logs.items():
        (directory / file.replace("/", "-")).write_text(text)
    return str(directory)


@pytest.mark.parametrize("name", CASES)
def test_the_answer_follows_its_schema(name: str, tmp_path: Path, cli: Callable[..., Ran]) -> None:
    ran = cli("why", "--from", dump_of(tmp_path, name), CASES[name].vm, "-o", "json")

    document = json.loads(ran.out)
    assert ran.code == CASES[name].code_of_exit
    assert list(errors(document, schema("why.json"))) == []
    assert (document["first"] or {"check": ""})["check"] == CASES[name].check
    assert document["complete"] is not any(one["result"] == "UNKNOWN" for one in document["items"])
    assert yaml.safe_load(cli("why", "--from", str(tmp_path), CASES[name].vm, "-o", "yaml").out) == document


def test_the_table_explains_the_first_failure(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    ran = cli("why", "--from", dump_of(tmp_path, "group not viable"), "withpol")

    assert ran.code == ExitCode.FINDINGS
    assert "started fails: 0000:3d:00.0: " in ran.out
    assert "[group-not-viable]" in ran.out
    assert all(word in ran.out for word in ("cause:", "hint:", "remedy:", "page:", "default/withpol", "on vm"))


def test_commands_name_this_vm(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    ran = cli("why", "--from", dump_of(tmp_path, "launcher panic"), "withpol")

    assert f"kubectl logs -n default {POD} -c compute" in ran.out
    assert "POD" not in ran.out


def test_what_is_not_known_is_not_called_fine(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    ran = cli("why", "--from", dump_of(tmp_path, "not known"), "withpol")

    assert ran.code == ExitCode.HOST_UNREADABLE
    assert "not known: nothing is seen to fail, and the VM is not seen to run" in ran.out
    assert f"look at hook: kubectl logs -n default {POD} -c hook-sidecar-0" in ran.out


@pytest.mark.parametrize("word", ["withpol", "vm/withpol", "vmi/withpol", "default/withpol", f"pod/{POD}", POD])
def test_a_vm_has_many_names(word: str, tmp_path: Path, cli: Callable[..., Ran]) -> None:
    assert cli("why", "--from", dump_of(tmp_path, "memlock"), word, "-o", "json").code == ExitCode.FINDINGS


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("withpo",), "no-such-vm", "did you mean withpol?"),
        (("-n", "other", "withpol"), "no-such-vm", "it is in default: -n default"),
        (("-n", "other", "default/withpol"), "bad-usage", "name one of them"),
        (("a/b/c",), "bad-usage", "write NAME"),
        (("--context", "c", "withpol"), "bad-usage", "leave one of them out"),
        (("--collect", "x", "withpol"), "bad-usage", "a dump is there already"),
    ],
)
def test_words_that_do_not_fit(
    words: Sequence[str], code: str, hint: str, tmp_path: Path, cli: Callable[..., Ran]
) -> None:
    ran = cli("why", "--from", dump_of(tmp_path, "memlock"), *words)

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert f"[{code}]" in ran.err
    assert hint in ran.err


def test_one_name_in_two_namespaces(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    other = vmi()
    other["metadata"]["namespace"] = "prod"
    (tmp_path / "x.json").write_text(json.dumps([vmi(), other]))

    ran = cli("why", "--from", str(tmp_path), "withpol")

    assert (ran.code, "[vm-ambiguous]" in ran.err) == (ExitCode.USAGE, True)
    assert cli("why", "--from", str(tmp_path), "-n", "prod", "withpol").out.startswith("prod/withpol")


def test_a_dump_may_hold_anything(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    dump_of(tmp_path, "memlock")
    (tmp_path / "noise.bin").write_bytes(os.urandom(4096))
    (tmp_path / "broken.json").write_text('{"kind": "Pod", "metadata": {')
    (tmp_path / "logs.tar.gz").write_bytes(b"\x1f\x8b")
    (tmp_path / "empty").write_text("")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "null.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: 5\n---\nitems: [1, null]\nkind: PodList\n"
    )

    ran = cli("why", "--from", str(tmp_path), "withpol")

    assert ran.code == ExitCode.FINDINGS
    assert "note: logs.tar.gz: is packed: unpack it first" in ran.err
    assert "note: fifo: is no file" in ran.err
    assert "note: broken.json: " in ran.err


def test_foreign_text_does_not_drive_a_terminal(tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07 \x1b[2J vfio 0000:3d:00.0: group 35 is not viable \u202e" + "x" * 100_000
    made = vmi(status={"phase": "Failed"})
    made["status"]["conditions"] = [{"type": "Synchronized", "status": "False", "message": evil}]
    (tmp_path / "vmi.json").write_text(json.dumps(made))
    (tmp_path / "\x1b[31mcompute.log").write_text(f"{evil}\n")

    ran = process("why", "--from", str(tmp_path), "withpol")

    assert ran.code == ExitCode.FINDINGS
    assert (ran.out + ran.err).replace("\n", "").isprintable()
    assert max(map(len, ran.out.splitlines())) < 2000


def live(directory: Path, *words: str, path: str = "", env: Mapping[str, str] | None = None) -> Ran:
    """Ask a cluster; nothing but the kubectl of that directory is in PATH."""
    return process("why", *words, env={"PATH": path or f"{directory}:/nowhere", **(env or {})})


def cluster(directory: Path, name: str, **ways: Any) -> Path:
    case = CASES[name]
    logs = {f"{POD}/compute": next((text for file, text in case.logs.items() if "hook" not in file), "")}
    logs |= {f"{POD}/hook-sidecar-0": next((text for file, text in case.logs.items() if "hook" in file), "")}
    return write_kubectl(directory, case.objects, logs=logs, **ways)


@pytest.mark.parametrize("name", LIVE)
def test_a_cluster_tells_the_same_as_a_dump(name: str, tmp_path: Path) -> None:
    ran = live(cluster(tmp_path, name), CASES[name].vm, "-o", "json")

    document = json.loads(ran.out)
    assert (document["first"] or {"check": ""})["check"] == CASES[name].check
    assert ran.code == CASES[name].code_of_exit


def test_words_go_to_kubectl_one_by_one(tmp_path: Path) -> None:
    evil = "$(touch owned);`id`"
    made = RUNNING | {"metadata": {**RUNNING["metadata"], "name": evil}}

    live(write_kubectl(tmp_path, [made]), "--context", "a b", "-n", "default", evil)

    told = calls(tmp_path)
    assert ["get", "vm", evil, "-o", "json", "-n", "default", "--context", "a b"] in told
    assert {call[0] for call in told} <= {"get", "logs", "exec"}
    assert not (tmp_path / "owned").exists()


def test_the_agent_is_asked_on_its_node(tmp_path: Path) -> None:
    pod = recorded("vm-with-policy")
    uid = pod[0]["metadata"]["uid"]
    held = {"how": "checkpoint", "who": "t4", "pod": uid}
    who = {
        "apiVersion": "passgate.dev/v1",
        "kind": "HoldersList",
        "items": [{"address": "0000:5e:00.0", "items": [held]}],
    }
    vital = {"device": "0000:5e:00.0", "verdict": "arrived", "why": "3 vectors", "held": None}
    vitals = {"apiVersion": "passgate.dev/v1", "kind": "Vitals", "items": [vital]}
    answers = {"passgate node who": json.dumps(who), "passgate node vitals": json.dumps(vitals)}

    ran = live(
        write_kubectl(tmp_path, [RUNNING, *pod, agent("vm"), agent("b")], answers=answers), "withpol", "-o", "json"
    )

    items = {one["check"]: one for one in json.loads(ran.out)["items"]}
    assert items["arrived"]["result"] == "PASS"
    assert "0000:5e:00.0" in items["arrived"]["message"]
    execs = [call for call in calls(tmp_path) if "exec" in call]
    assert all("passgate-agent-vm" in call for call in execs)


def test_the_allocation_file_is_looked_at(tmp_path: Path) -> None:
    file = "#passgate-agent=1\nPCI_RESOURCE_NVIDIA_COM_TU104GL_TESLA_T4=0000:5e:00.0\n"
    answers = {"cat /var/run/kubevirt-hooks": file}

    ran = live(write_kubectl(tmp_path, [vmi(), *recorded("vm-with-policy")], answers=answers), "withpol", "-o", "json")

    items = {one["check"]: one for one in json.loads(ran.out)["items"]}
    assert (items["file"]["result"], items["hook"]["result"]) == ("PASS", "UNKNOWN")


@pytest.mark.parametrize(
    ("ways", "code", "said"),
    [
        ({"unreachable": True}, ExitCode.HOST_UNREADABLE, "Unable to connect to the server"),
        ({"unknown": True}, ExitCode.USAGE, "the cluster has no KubeVirt"),
        ({"garbage": ["vm", "vmi"]}, ExitCode.HOST_UNREADABLE, "something that is no JSON"),
        ({"forbidden": ["vm", "vmi", "pods"]}, ExitCode.NOT_PERMITTED, "is forbidden"),
        ({"hangs": ["get"]}, ExitCode.HOST_UNREADABLE, "gave no answer within 0.4 s"),
    ],
)
def test_a_kubectl_without_an_answer_gets_a_sentence(
    ways: Mapping[str, Any], code: ExitCode, said: str, tmp_path: Path
) -> None:
    ran = live(cluster(tmp_path, "memlock", **ways), "--deadline", "0.4", "withpol")

    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert "\x1b" not in ran.err


def test_no_kubectl(tmp_path: Path) -> None:
    ran = live(tmp_path, "withpol")

    assert ran.code == ExitCode.USAGE
    assert "there is no kubectl in PATH [no-kubectl]" in ran.err
    assert "--from DUMP" in ran.err


@pytest.mark.parametrize("missing", ["events", "logs", "kubevirt", "nodes"])
def test_what_may_not_be_seen_is_unknown(missing: str, tmp_path: Path) -> None:
    ran = live(cluster(tmp_path, "not known", forbidden=[missing]), "withpol")

    assert ran.code == ExitCode.HOST_UNREADABLE
    assert "is forbidden" in ran.err


def test_a_vm_that_is_not_there(tmp_path: Path) -> None:
    ran = live(cluster(tmp_path, "healthy"), "nothing")

    assert ran.code == ExitCode.USAGE
    assert "[no-such-vm]" in ran.err


def secretive() -> list[dict[str, Any]]:
    """Objects with all kinds of secrets in them."""
    made = vmi(phase="Failed")
    made["spec"]["volumes"].append({"name": "ci", "cloudInitNoCloud": {"userData": f"#cloud-config\n{SECRETS[0]}\n"}})
    made["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = SECRETS[3]
    pods = recorded("vm-with-policy")
    pods[0]["spec"]["containers"][0]["env"].append({"name": "DB_URL", "value": SECRETS[1]})
    pods[0]["spec"]["containers"][1]["args"] = ["--registry", f"https://user:{SECRETS[4]}@registry.example/"]
    return [
        made,
        *pods,
        {"kind": "Secret", "metadata": {"name": "x", "namespace": "default"}, "data": {"k": SECRETS[0]}},
    ]


def test_a_dump_is_written_without_secrets(tmp_path: Path) -> None:
    log = hook_log(SERVING) + f"Authorization: Bearer {SECRETS[2]}\npassword={SECRETS[4]}\n"
    fake = write_kubectl(tmp_path / "bin", secretive(), logs={f"{POD}/compute": PANIC, f"{POD}/hook-sidecar-0": log})
    target = tmp_path / "dump"

    ran = live(fake, "--collect", str(target), "withpol")

    assert (ran.code, ran.out) == (ExitCode.DONE, "")
    assert "left out: " in ran.err
    assert f"passgate why --from {target} -n default withpol" in ran.err
    written = {path.relative_to(target).as_posix(): path.read_text() for path in target.rglob("*") if path.is_file()}
    assert {"vmi.json", "pods.json", "index.json", f"logs/{POD}.compute.log"} <= set(written)
    assert [secret for secret in SECRETS if any(secret in text for text in written.values())] == []
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    assert list(errors(json.loads(written["index.json"]), schema("whydump.json"))) == []
    first = json.loads(process("why", "--from", str(target), "withpol", "-o", "json").out)["first"]
    assert first["check"] == "started"


@pytest.mark.parametrize("name", LIVE)
def test_a_written_dump_says_what_the_cluster_says(name: str, tmp_path: Path) -> None:
    fake = cluster(tmp_path / "bin", name)
    words = (CASES[name].vm, "-o", "json")
    asked = json.loads(live(fake, *words).out)

    live(fake, "--collect", str(tmp_path / "dump"), CASES[name].vm)
    read = json.loads(process("why", "--from", str(tmp_path / "dump"), *words).out)

    keys = ("check", "result")
    assert [[one[key] for key in keys] for one in read["items"]] == [
        [one[key] for key in keys] for one in asked["items"]
    ]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    fake = cluster(tmp_path / "bin", "memlock")
    (tmp_path / "there").mkdir()

    ran = live(fake, "--collect", str(tmp_path / "there"), "withpol")

    assert (ran.code, "[already-there]" in ran.err) == (ExitCode.USAGE, True)
    assert list((tmp_path / "there").iterdir()) == []
    assert calls(fake) == []


def test_a_dump_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    fake = cluster(tmp_path / "bin", "memlock")

    ran = live(fake, "--collect", str(tmp_path / "no/where"), "withpol")

    assert (ran.code, "[no-directory]" in ran.err) == (ExitCode.USAGE, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin"]


def test_kubectl_passes_it_on(tmp_path: Path) -> None:
    """As a plugin of kubectl it is the same program under another name."""
    import tomllib  # noqa: PLC0415  only here

    from tests.hostdev.cli.running import ROOT  # noqa: PLC0415  only here

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

    assert scripts["kubectl-passgate"] == scripts["passgate"] == "hostdev.cli.main:run"
    assert COMMAND[-1] == "hostdev.cli.main"
    assert process("why", "--from", dump_of(tmp_path, "healthy"), "withpol").code == ExitCode.DONE


def test_an_answer_of_the_sidecar_is_read(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    (tmp_path / "objects.json").write_text(json.dumps([vmi(), *recorded("vm-with-policy")]))
    (tmp_path / "anything").write_text(hook_log(SERVING, ANSWERED))

    items = {
        one["check"]: one
        for one in json.loads(cli("why", "--from", str(tmp_path), "withpol", "-o", "json").out)["items"]
    }

    assert [items[check]["result"] for check in ("file", "hook", "gate")] == ["PASS", "PASS", "PASS"]
    assert "ua-passgate-t4" in items["hook"]["message"]
