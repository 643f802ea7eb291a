"""The gRPC messages as classes, from the compiled ``inference.proto``.

In a descriptor pool of our own: a process that also holds a client's messages of the same names (a twin, a test)
would otherwise be refused by the default pool. Compile again, after a change of ``inference.proto``, with
``python -m grpc_tools.protoc -I serving/protocol --descriptor_set_out serving/protocol/inference.binpb inference.proto``.
"""

from importlib import resources
from typing import Any, Final

from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)

SERVICE: Final = "inference.GRPCInferenceService"


def _classes() -> dict[str, Any]:
    content = resources.files("serving.protocol").joinpath("inference.binpb").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(content).file:
        pool.Add(file)
    service = pool.FindServiceByName(SERVICE)
    found = {}
    for method in service.methods:
        for message in (method.input_type, method.output_type):
            found[message.name] = message_factory.GetMessageClass(message)
    return found


_CLASSES: Final = _classes()


def message(name: str) -> Any:
    """Return the class of the message called ``name``, such as ``ModelInferRequest``."""
    return _CLASSES[name]
