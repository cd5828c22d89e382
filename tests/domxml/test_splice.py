"""A changed document keeps every byte that the change does not concern."""

from __future__ import annotations

import difflib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from domxml.document import Domain, Element
from domxml.splice import NotSpliced, SourceText
from domxml.transform import transform
from tests.domxml.domains import load, names
from tests.domxml.guestslots import wish
from tests.domxml.realdomains import TAKEN

_TOKENS = re.compile(rb"<[^>]*>|[^<]+")
QAT = wish("qat", "0000:3d:02.2", rom_bar="off")
HEAD = "<domain type='kvm'><os><type arch='x86_64' machine='q35'>hvm</type></os>"
ODD = {
    "quotes and blanks": HEAD + """
  <devices>
    <disk   type = "file"
       device='disk' ><source file='a"b>c'/><target dev="vda" bus='virtio' />
    </disk>
    <memballoon model="none"></memballoon>
  </devices>
</domain>
""",
    "comments, CDATA, references": "<?xml version='1.0' encoding='utf-8'?>\n<!-- a > b -->\n"
    "<domain type='kvm'><title><![CDATA[<hostdev/>]]>&#65;&amp;é</title><?pi <x> ?>"
    "<os><type arch='x86_64' machine='q35'>hvm</type></os>\n <devices>\n  <!-- <hostdev> -->\n"
    "  <memballoon model='none'/><!-- last -->\n </devices>\n</domain>\n<!-- end -->",
    "namespaces": "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
    "<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>\n<memballoon model='none'/>\n</devices>"
    "<qemu:commandline>\n<qemu:arg value='-no-hpet'/>\n</qemu:commandline></domain>",
    "lines of Windows": HEAD.replace("><os", ">\r\n  <os") + "\r\n  <devices>\r\n    <memballoon model='none'/>\r\n"
    "  </devices>\r\n</domain>\r\n",
    "nothing in devices": HEAD + "\n  <devices/>\n</domain>",
    "blank devices": HEAD + "\n  <devices>\n  </devices>\n</domain>\n",
    "blanks before the ends of tags": HEAD + "\n<devices >\n\t<memballoon model='none' />\n</devices\n>\n</domain >",
    "stray text": HEAD + "<devices>\n  a<memballoon model='none'/>b &lt; c\n</devices></domain>",
}  # fmt: skip
ENCODED = {
    "BOM": b"\xef\xbb\xbf" + ODD["quotes and blanks"].encode(),
    "Latin 1": b"<?xml version='1.0' encoding='ISO-8859-1'?>"
    + f"{HEAD}<title>\xe9</title><devices/></domain>".encode("latin-1"),
}  # fmt: skip
DOCUMENTS = {
    **{name: text.encode() for name, text in ODD.items()},
    **ENCODED,
    **{name: taken.xml for name, taken in TAKEN.items()},
    **{name: load(name) for name in names()},
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_device_comes_in_and_no_other_byte_changes(name: str) -> None:
    before = DOCUMENTS[name]

    after, tree = _injected(before)

    assert after != before
    assert _same(after, tree)
    assert _is_within(before, after)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_lines_stay_but_for_one_that_the_device_comes_into(name: str) -> None:
    before = DOCUMENTS[name]

    after, _ = _injected(before)

    gone = [line for line in _difference(before, after) if line.startswith("-")]
    assert len(gone) <= (0 if name in names() else 1)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_changed_means_the_same_bytes(name: str) -> None:
    assert SourceText(Domain.parse(DOCUMENTS[name])).rewrite() == DOCUMENTS[name]


def test_new_elements_are_written_as_the_document_is() -> None:
    text, _ = _injected(ODD["lines of Windows"].encode())
    assert b"\r\n    <hostdev mode='subsystem' type='pci' managed='no'>\r\n      <driver name='vfio'/>" in text
    assert text.count(b"\n") == text.count(b"\r\n")

    text, _ = _injected(ODD["blanks before the ends of tags"].encode())
    assert b"<driver name='vfio' />" in text


def test_a_changed_tag_keeps_its_other_attributes_as_they_stand() -> None:
    domain = Domain.parse(ODD["quotes and blanks"].encode())
    source = SourceText(domain)
    disk = domain.devices[0]
    disk.set("device", "lun")
    disk.set("snapshot", 'it\'s "no"\n<é>')

    text = source.rewrite().decode()

    assert "<disk   type = \"file\"\n       device='lun' snapshot='it&apos;s \"no\"&#10;&lt;&#233;&gt;' >" in text
    del disk.attrib["type"]
    assert b"<disk\n       device='lun'" in source.rewrite()


def test_an_encoding_in_which_tags_cannot_be_found_is_told() -> None:
    # In this one, a shifted letter may hold the bytes of `<` and `>`.
    text = "<?xml version='1.0' encoding='ISO-2022-JP'?><domain type='kvm'><name>\u81ea\u84b8</name><devices/></domain>"
    domain = Domain.parse(text.encode("iso2022-jp"))
    source = SourceText(domain)
    domain.root.set("id", "1")

    with pytest.raises(NotSpliced, match="encoding"):
        source.rewrite()


_NAMES = st.sampled_from(["hostdev", "disk", "a.b", "x-1"])
_VALUES = st.text(st.sampled_from("ab<>&\"' \u00e9\t"), max_size=5)
_BLANKS = st.sampled_from(["", " ", "\n  ", "\r\n\t", "  "])
_MISC = st.sampled_from(["<!-- <a> - > -->", "<?go <b x='1'> ?>", "<![CDATA[<c>]]>", "text", "&lt;&#x41;&amp;"])


_QUOTES = st.sampled_from(["'", '"'])


def _quoted(value: str, quote: str) -> str:
    inner = value.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&#34;").replace("'", "&#39;")
    return quote + inner + quote


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> str:
    name = draw(_NAMES)
    given_attributes = draw(st.dictionaries(st.sampled_from(["a", "b", "c", "q:d"]), _VALUES, max_size=3))
    attributes = "".join(
        f"{draw(_BLANKS) or ' '}{key}{draw(st.sampled_from(['=', ' = ']))}{_quoted(value, draw(_QUOTES))}"
        for key, value in given_attributes.items()
    )
    head = f"<{name}{attributes}{draw(_BLANKS)}"
    if not depth or draw(st.booleans()):
        return draw(st.sampled_from([f"{head}/>", f"{head}></{name}>", f"{head}></{name} >"]))
    inner = draw(st.lists(st.one_of(elements(depth - 1), _MISC, _BLANKS), max_size=4))
    return f"{head}>{''.join(inner)}</{name}>"


@st.composite
def documents(draw: st.DrawFn) -> str:
    devices = "".join(draw(st.lists(st.one_of(elements(), _MISC, _BLANKS), max_size=6)))
    head = draw(st.sampled_from(["", "\ufeff", "<?xml version='1.0' encoding='UTF-8'?>\n", "<!-- <domain> -->\r\n"]))
    tail = draw(st.sampled_from(["", "\n", "<!-- end -->\n"]))
    return f"{head}<domain type='kvm' xmlns:q='urn:q'{draw(_BLANKS)}><devices>{devices}</devices></domain>{tail}"


@given(documents(), st.data())
def test_any_change_of_any_document_is_what_is_read_back(text: str, data: st.DataObject) -> None:
    before = text.encode()
    domain = Domain.parse(before)
    source = SourceText(domain)
    assert source.rewrite() == before

    inner = [node for node in domain.devices.iter() if isinstance(node.tag, str)]
    for _ in range(data.draw(st.integers(1, 4))):
        _change(data.draw(st.sampled_from(inner)), domain, data)

    assert _same(source.rewrite(), domain.root)


@given(documents(), st.data())
def test_an_element_that_comes_and_goes_leaves_no_trace(text: str, data: st.DataObject) -> None:
    domain = Domain.parse(text.encode())
    source = SourceText(domain)
    parent = data.draw(st.sampled_from([node for node in domain.devices.iter() if isinstance(node.tag, str)]))

    parent.append(etree.Element("new", a="1"))
    with_it = source.rewrite()
    parent.remove(parent[-1])

    assert b"<new a=" in with_it
    assert source.rewrite() == text.encode()


def _change(element: Element, domain: Domain, data: st.DataObject) -> None:
    match data.draw(st.sampled_from(["set", "drop", "add", "remove", "text", "tail"])):
        case "set":
            element.set(data.draw(st.sampled_from(["a", "b", "new"])), data.draw(_VALUES))
        case "drop":
            for key in list(element.attrib):
                del element.attrib[key]
        case "add":
            etree.SubElement(element, "added", {"k": data.draw(_VALUES)}).text = data.draw(_VALUES) or None
        case "remove" if element is not domain.devices and (parent := element.getparent()) is not None:
            parent.remove(element)
        case "text":
            element.text = data.draw(_VALUES) or None
        case "tail" if element is not domain.devices:
            element.tail = data.draw(_VALUES) or None


def _injected(before: bytes) -> tuple[bytes, Element]:
    domain = Domain.parse(before)
    source = SourceText(domain)
    transform(domain, (QAT,))
    return source.rewrite(), domain.root


def _same(text: bytes, tree: Element) -> bool:
    read = etree.fromstring(text, etree.XMLParser(remove_blank_text=False, strip_cdata=False))
    return etree.tostring(read, method="c14n") == etree.tostring(tree, method="c14n")


def _is_within(before: bytes, after: bytes) -> bool:
    """Whether what was there is there still, in its order: nothing was done but to put something in."""
    there = iter(_TOKENS.findall(after))
    # An element that was closed at once has to be opened for what comes into it.
    return all(token in there for token in _TOKENS.findall(before.replace(b"<devices/>", b"<devices></devices>")))


def _difference(before: bytes, after: bytes) -> list[str]:
    old, new = (text.decode("latin-1").splitlines() for text in (before, after))
    return [line for line in difflib.unified_diff(old, new, n=0) if line[:3] not in {"---", "+++"}]
