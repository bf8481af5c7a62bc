"""The messages of OpenOffload's session table, sessionOffload v2, for protobuf: what openoffload.proto says, without generated code
that is bound to one release of the compiler. A test compiles that file and compares."""
from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

PACKAGE = "openoffload.v2"
SERVICE = f"{PACKAGE}.SessionTable"

_ENUMS = {
    "IpVersion": {"_IPV4": 0, "_IPV6": 1},
    "ProtocolId": {"_HOPOPT": 0, "_TCP": 6, "_UDP": 17},
    "SessionState": {"_ESTABLISHED": 0, "_CLOSING_1": 1, "_CLOSING_2": 2, "_CLOSED": 3, "_UNKNOWN_STATE": 4},
    "SessionCloseCode": {"_NOT_CLOSED": 0, "_FINACK": 1, "_RST": 2, "_TIMEOUT": 3, "_UNKNOWN_CLOSE_CODE": 4},
    "AddSessionStatus": {"_SESSION_ACCEPTED": 0, "_SESSION_REJECTED": 1, "_SESSION_TABLE_FULL": 2, "_SESSION_TABLE_UNAVAILABLE": 3,
                         "_SESSION_ALREADY_EXISTS": 4},
    "RequestStatus": {"_ACCEPTED": 0, "_REJECTED": 1, "_REJECTED_SESSION_NONEXISTENT": 2, "_REJECTED_SESSION_TABLE_FULL": 3,
                      "_REJECTED_SESSION_ALREADY_EXISTS": 4, "_NO_CLOSED_SESSIONS": 5, "_REJECTED_INTERNAL_ERROR": 6},
    "ActionType": {"_DROP": 0, "_FORWARD": 1, "_MIRROR": 2, "_SNOOP": 3},
}

#: Of each message its fields in the order of their numbers, which count from 1: (name, type), a list of which is repeated.
_MESSAGES: dict[str, list[tuple[str, Any]]] = {
    "Uuid": [("value", "string")],
    "SessionId": [("session_id", "uint64")],
    "ActionParameters": [("action_type", "ActionType"), ("action_next_hop", "uint32"), ("action_next_hop_v6", "bytes")],
    "SessionRequest": [
        ("session_id", "uint64"), ("in_lif", "int32"), ("out_lif", "int32"), ("ip_version", "IpVersion"), ("source_ip", "uint32"),
        ("source_ipv6", "bytes"), ("source_port", "uint32"), ("destination_ip", "uint32"), ("destination_ipv6", "bytes"),
        ("destination_port", "uint32"), ("protocol_id", "ProtocolId"), ("action", "ActionParameters"), ("cache_timeout", "uint32")],
    "SessionResponseError": [("session_id", "uint64"), ("error_status", "int32")],
    "SessionResponses": [("session_info", ["SessionResponse"]), ("next_key", "uint64")],
    "AddSessionResponse": [("request_status", "AddSessionStatus"), ("error_status", "uint64"), ("start_time", "Timestamp"),
                           ("response_error", ["SessionResponseError"])],
    "SessionResponse": [
        ("session_id", "uint64"), ("in_packets", "uint64"), ("out_packets", "uint64"), ("in_bytes", "uint64"), ("out_bytes", "uint64"),
        ("session_state", "SessionState"), ("session_close_code", "SessionCloseCode"), ("request_status", "RequestStatus"),
        ("start_time", "Timestamp"), ("end_time", "Timestamp")],
    "SessionRequestArgs": [("page_size", "uint32"), ("page", "uint32"), ("start_session", "uint64")],
}

#: Of each call its request and its answer; a list is a stream.
CALLS: dict[str, tuple[Any, Any]] = {
    "AddSession": (["SessionRequest"], "AddSessionResponse"), "GetSession": ("SessionId", "SessionResponse"),
    "DeleteSession": ("SessionId", "SessionResponse"), "GetAllSessions": ("SessionRequestArgs", "SessionResponses"),
    "GetClosedSessions": ("SessionRequestArgs", ["SessionResponse"]),
}


def describe() -> descriptor_pb2.FileDescriptorProto:
    """The file as the compiler of protobuf would describe it."""
    field_of = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="openoffload.proto", package=PACKAGE, syntax="proto3",
                                              dependency=["google/protobuf/timestamp.proto"])
    for name, values in _ENUMS.items():
        enum = file.enum_type.add(name=name)
        for value, number in values.items():
            enum.value.add(name=value, number=number)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields, 1):
            repeated, kind = isinstance(kind, list), kind[0] if isinstance(kind, list) else kind
            made = message.field.add(name=field, number=number, label=field_of.LABEL_REPEATED if repeated else field_of.LABEL_OPTIONAL)
            if kind in _ENUMS:
                made.type, made.type_name = field_of.TYPE_ENUM, f".{PACKAGE}.{kind}"
            elif kind == "Timestamp":
                made.type, made.type_name = field_of.TYPE_MESSAGE, ".google.protobuf.Timestamp"
            elif kind in _MESSAGES:
                made.type, made.type_name = field_of.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
            else:
                made.type = field_of.Type.Value(f"TYPE_{kind.upper()}")
    service = file.service.add(name="SessionTable")
    for name, (asked, answer) in CALLS.items():
        method = service.method.add(name=name)
        method.options.SetInParent()
        if isinstance(asked, list):
            method.client_streaming, asked = True, asked[0]
        if isinstance(answer, list):
            method.server_streaming, answer = True, answer[0]
        method.input_type, method.output_type = f".{PACKAGE}.{asked}", f".{PACKAGE}.{answer}"
    return file


def _classes() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(describe().SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in _MESSAGES}


#: The class of each message, by its name.
MESSAGES = _classes()
