"""A session table served over gRPC: sessionOffload v2.

What the interface leaves open, and what is done here: AddSession takes up to 64 requests a stream, more are rejected as a whole;
requests that say no session are marked in `error_status` (bit i for the i-th) and in `response_error`, the others are added.
`cache_timeout` is whole seconds, 0 for the device's. `in_lif`, `out_lif` and the next hop of MIRROR and SNOOP are taken and mean
nothing: the collector is the inspectors. GetAllSessions pages by `page_size` and `start_session`, which is 0 or the `next_key` of
the page before; without a page size the answer is one page, as large as a message may be. GetClosedSessions gives what has ended
since it was asked last, and ends.
"""
from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import grpc

from fastpath.control.sessions import BATCH, AddStatus, Session, SessionAction, SessionRequest, SessionTable
from fastpath.openoffload.interface import CALLS, MESSAGES, SERVICE

ACCEPTED, NONEXISTENT = 0, 2            # RequestStatus
LARGEST_PAGE = 32768                    # sessions in one message of gRPC's default size, 4 MiB
SECOND = 1_000_000_000
WORKERS = 8


def request_of(message: Any) -> SessionRequest:
    """ValueError for one that says no session."""
    ends: list[ipaddress.IPv4Address | ipaddress.IPv6Address]
    if message.ip_version == 0:
        ends = [ipaddress.IPv4Address(ip.to_bytes(4, "little")) for ip in (message.source_ip, message.destination_ip)]
    else:
        for ip in (message.source_ipv6, message.destination_ipv6):
            if len(ip) != 16:
                raise ValueError(f"an IPv6 address has 16 bytes, not {len(ip)}")
        ends = [ipaddress.IPv6Address(ip) for ip in (message.source_ipv6, message.destination_ipv6)]
    return SessionRequest(message.session_id, str(ends[0]), message.source_port, str(ends[1]), message.destination_port,
                          message.protocol_id, SessionAction(message.action.action_type), message.cache_timeout)


def response_of(session: Session, status: int = ACCEPTED) -> Any:
    made = MESSAGES["SessionResponse"](
        session_id=session.id, in_packets=session.packets[0], out_packets=session.packets[1], in_bytes=session.bytes[0],
        out_bytes=session.bytes[1], session_state=int(session.state), session_close_code=int(session.code), request_status=status)
    for name, time in (("start_time", session.start), ("end_time", session.end)):
        if time:
            getattr(made, name).seconds, getattr(made, name).nanos = divmod(time, SECOND)
    return made


class Service:
    """The five calls over a SessionTable."""

    def __init__(self, table: SessionTable):
        self.table = table

    def add_session(self, messages: Iterable[Any], context: grpc.ServicerContext) -> Any:
        answer = MESSAGES["AddSessionResponse"]()
        taken = list(islice(messages, BATCH + 1))
        if len(taken) > BATCH:
            answer.request_status = AddStatus.REJECTED
            return answer
        good: list[tuple[int, SessionRequest]] = []
        failed: dict[int, AddStatus] = {}
        for at, message in enumerate(taken):
            try:
                good.append((at, request_of(message)))
            except ValueError:
                failed[at] = AddStatus.REJECTED
        added = self.table.add([request for _, request in good])
        if added.status == AddStatus.TABLE_FULL:
            failed |= {at: AddStatus.TABLE_FULL for at, _ in good}
        failed |= {good[place][0]: AddStatus.ALREADY_EXISTS for place in added.failed}
        for at in sorted(failed):
            answer.error_status |= 1 << at
            answer.response_error.add(session_id=taken[at].session_id, error_status=failed[at])
        if failed:
            kinds = set(failed.values())
            answer.request_status = AddStatus.TABLE_FULL if AddStatus.TABLE_FULL in kinds else min(kinds)
        first = self.table.get(good[0][1].id) if good and not failed else None
        if first is not None:
            answer.start_time.seconds = first.start // SECOND
        return answer

    def get_session(self, message: Any, context: grpc.ServicerContext) -> Any:
        return self._answer(message, self.table.get(message.session_id))

    def delete_session(self, message: Any, context: grpc.ServicerContext) -> Any:
        return self._answer(message, self.table.delete(message.session_id))

    def _answer(self, message: Any, session: Session | None) -> Any:
        if session is None:
            return MESSAGES["SessionResponse"](session_id=message.session_id, request_status=NONEXISTENT)
        return response_of(session)

    def get_all_sessions(self, message: Any, context: grpc.ServicerContext) -> Any:
        page = self.table.page(message.start_session, min(message.page_size or LARGEST_PAGE, LARGEST_PAGE))
        return MESSAGES["SessionResponses"](session_info=[response_of(session) for session in page.sessions], next_key=page.next)

    def get_closed_sessions(self, message: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        for session in self.table.closed():
            yield response_of(session)


def _handlers(service: Service) -> grpc.GenericRpcHandler:
    calls = {"AddSession": service.add_session, "GetSession": service.get_session, "DeleteSession": service.delete_session,
             "GetAllSessions": service.get_all_sessions, "GetClosedSessions": service.get_closed_sessions}
    made = {}
    for name, (asked, answer) in CALLS.items():
        kind = {(True, False): grpc.stream_unary_rpc_method_handler, (False, False): grpc.unary_unary_rpc_method_handler,
                (False, True): grpc.unary_stream_rpc_method_handler}[isinstance(asked, list), isinstance(answer, list)]
        asked, answer = (one[0] if isinstance(one, list) else one for one in (asked, answer))
        made[name] = kind(calls[name], request_deserializer=MESSAGES[asked].FromString,
                          response_serializer=MESSAGES[answer].SerializeToString)
    return grpc.method_handlers_generic_handler(SERVICE, made)


def serve(table: SessionTable, address: str, *, key: bytes | None = None, certificate: bytes | None = None) -> tuple[grpc.Server, int]:
    """Serves the table at an address ("127.0.0.1:3443"; port 0 takes a free one), with TLS where a key and its certificate (PEM) are
    given. Gives the server, which runs until its `stop`, and its port. RuntimeError where the address cannot be had."""
    server = grpc.server(ThreadPoolExecutor(WORKERS), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((_handlers(Service(table)),))
    if key is not None and certificate is not None:
        port = server.add_secure_port(address, grpc.ssl_server_credentials([(key, certificate)]))
    else:
        port = server.add_insecure_port(address)
    if port == 0:
        raise RuntimeError(f"{address} cannot be listened at")
    server.start()
    return server, port
