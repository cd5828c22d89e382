"""CEL as the API server has it, in Google's own C++ implementation: nothing is rewritten, `JSONPatch` is a message.

Two things of the API server are missing there. Of Kubernetes' libraries there is only the function that the policy
calls. And a map or list whose values differ in type is accepted, so that `uniform` looks for them in what comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from cel_expr_python import cel
from google.protobuf import descriptor_pb2, descriptor_pool, struct_pb2
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

_VALUE = struct_pb2.Value.DESCRIPTOR


def evaluate(expression: str, **variables: object) -> Any:
    """What an expression comes to; an error of CEL is an AssertionError, as a policy must have none."""
    result = _environment(tuple(sorted(variables))).compile(expression).eval(data=variables)
    assert result.type() != cel.Type.ERROR, f"{result.value()} in {expression}"
    return _plain(result.plain_value())


def uniform(value: object) -> bool:
    """Whether every list and map in it holds values of one type, as the API server wants of what is written down."""
    if not isinstance(value, Mapping | list):
        return True
    values = list(value.values() if isinstance(value, Mapping) else value)
    return len({type(one) for one in values}) <= 1 and all(map(uniform, values))


@cache
def _environment(variables: tuple[str, ...]) -> cel.Env:
    kinds = cel.Type
    found = cel.Overload("list_index_of", kinds.INT, [kinds.List(kinds.DYN), kinds.STRING], True, _index_of)
    return cel.NewEnv(
        _pool(),
        variables=dict.fromkeys(variables, kinds.DYN),
        functions=[cel.FunctionDecl("indexOf", [found])],
    )


def _index_of(values: list[object], wanted: object) -> int:
    return values.index(wanted) if wanted in values else -1


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    """Protobuf's own, with the API server's JSONPatch as a message."""
    pool = descriptor_pool.Default()
    file = descriptor_pb2.FileDescriptorProto(name="jsonpatch.proto", syntax="proto3", dependency=[_VALUE.file.name])
    patch = file.message_type.add(name="JSONPatch")
    text, message = descriptor_pb2.FieldDescriptorProto.TYPE_STRING, descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
    for number, name in enumerate(("op", "path", "from"), start=1):
        patch.field.add(name=name, number=number, type=text)
    patch.field.add(name="value", number=4, type=message, type_name=f".{_VALUE.full_name}")
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _plain(value: Any) -> Any:
    if isinstance(value, Message):
        return MessageToDict(value)
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
