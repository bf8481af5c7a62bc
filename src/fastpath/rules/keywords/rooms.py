"""The keywords that choose or change an inspect buffer, and those that wait for their room: known, checked for form, refused.

Each row: name and aliases, and what it is: nothing for a plain keyword, or `sticky` (a buffer for what follows),
`modifier>buffer` (for the content before it), `transform` (of the buffer before it), `content>buffer` (a content of its own);
`=` behind these where they take a value; `!` for a plain one that takes none, `?` where it may.
Names: Suricata 7.0.10, `suricata --list-keywords`.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from ..applications import PROTOCOLS, is_buffer, missing
from ..draft import Draft
from ..lexer import RuleError
from ..plan import FlowState
from .payload import content
from .table import Keyword, Setup, add

_ROOMS = {
    "http": """
        http_cookie modifier>http.cookie | http.cookie sticky | http_method modifier>http.method | http.method sticky
        http.protocol http_protocol sticky | http.start http_start sticky
        http_client_body modifier>http.request_body | http.request_body sticky
        http_server_body modifier>file.data | http.response_body sticky>file.data | http_header modifier>http.header
        http.header sticky | http.header_names http_header_names sticky | http.accept http_accept sticky
        http.accept_lang http_accept_lang sticky | http.accept_enc http_accept_enc sticky
        http.connection http_connection sticky | http.content_len http_content_len sticky
        http.content_type http_content_type sticky | http.location sticky | http.server sticky
        http.referer http_referer sticky | http_raw_header modifier>http.header.raw | http.header.raw sticky
        http_uri modifier>http.uri | http.uri sticky | http.uri.raw sticky | http_raw_uri modifier>http.uri.raw
        http_stat_msg modifier>http.stat_msg | http.stat_msg sticky | http_stat_code modifier>http.stat_code
        http.stat_code sticky | http_user_agent modifier>http.user_agent | http.user_agent sticky
        http_host modifier>http.host | http.host sticky | http_raw_host modifier>http.host.raw | http.host.raw sticky
        http.request_line http_request_line sticky | http.response_line http_response_line sticky
        uricontent content>http.uri | http.request_header sticky | http.response_header sticky""",
    "http2": "http2.header_name sticky",
    "tls": """
        tls_store tls.store ! | tls.sni tls_sni sticky | tls.certs sticky | tls.cert_issuer tls_cert_issuer sticky
        tls.cert_subject tls_cert_subject sticky | tls.cert_serial tls_cert_serial sticky
        tls.cert_fingerprint tls_cert_fingerprint sticky | tls.random_time sticky | tls.random_bytes sticky
        tls.random sticky""",
    "ja": """
        ja3.hash ja3_hash sticky | ja3.string ja3_string sticky | ja3s.hash sticky | ja3s.string sticky
        ja4.hash ja4_hash sticky""",
    "dns": "dns.query dns_query sticky",
    "ssh": """
        ssh.proto ssh_proto sticky | ssh.software ssh_software sticky
        ssh.hassh ssh-hassh sticky | ssh.hassh.server ssh-hassh-server sticky | ssh.hassh.string ssh-hassh-string sticky
        ssh.hassh.server.string ssh-hassh-server-string sticky""",
    "smb": """
        smb.named_pipe smb_named_pipe sticky | smb.share smb_share sticky | smb.ntlmssp_user sticky
        smb.ntlmssp_domain sticky""",
    "dcerpc": "dcerpc.stub_data dce_stub_data sticky",
    "nfs": "nfs_procedure | nfs.version nfs_version",
    "modbus": "modbus",
    "enip": "cip_service | enip_command",
    "dnp3": "dnp3.data dnp3_data sticky | dnp3_func dnp3.func | dnp3_ind dnp3.ind | dnp3_obj dnp3.obj",
    "krb5": """
        krb5_err_code | krb5_msg_type | krb5.cname krb5_cname sticky | krb5.sname krb5_sname sticky
        krb5.ticket_encryption""",
    "sip": """
        sip.method sticky | sip.uri sticky | sip.protocol sticky | sip.stat_code sticky | sip.stat_msg sticky
        sip.request_line sticky | sip.response_line sticky""",
    "rfb": "rfb.secresult | rfb.sectype | rfb.name sticky",
    "dhcp": "dhcp.leasetime | dhcp.rebinding_time | dhcp.renewal_time",
    "snmp": "snmp.usm sticky | snmp.version | snmp.community sticky | snmp.pdu_type",
    "mqtt": """
        mqtt.type | mqtt.flags | mqtt.qos | mqtt.protocol_version | mqtt.reason_code | mqtt.connect.flags
        mqtt.connect.clientid sticky | mqtt.connect.username sticky | mqtt.connect.password sticky
        mqtt.connect.willtopic sticky | mqtt.connect.willmessage sticky | mqtt.connack.session_present
        mqtt.publish.topic sticky | mqtt.publish.message sticky | mqtt.subscribe.topic sticky
        mqtt.unsubscribe.topic sticky""",
    "quic": "quic.version sticky | quic.sni sticky | quic.ua sticky | quic.cyu.hash sticky | quic.cyu.string sticky",
    "ike": """
        ike.exchtype | ike.init_spi sticky | ike.resp_spi sticky | ike.vendor sticky | ike.chosen_sa_attribute
        ike.key_exchange_payload_length | ike.nonce_payload_length | ike.nonce_payload sticky
        ike.key_exchange_payload sticky""",
    "file": """
        file.data file_data sticky | file.name sticky | file.model sticky
        file.model_unsafe sticky""",
    "header": """
        geoip | l3_proto | ipv4-csum | tcpv4-csum | tcpv6-csum | udpv4-csum | udpv6-csum | icmpv4-csum | icmpv6-csum
        template2""",
    "payload": "rpc | replace",
    "scripts": "lua luajit",
    "actions": "nfq_set_mark",
}

_REASONS = {
    "header": "this look at headers is not built yet",
    "payload": "this look at payload is not built yet", "scripts": "scripts are not run",
    "actions": "rules do not set marks of netfilter",
}


#: The frames of Suricata 7.0.10, by protocol; each has "stream" too.
_FRAMES = {"tls": ("pdu", "hdr", "data", "alert", "ssl2.hdr", "ssl2.pdu"), "dns": ("pdu",), "http1": ("request", "response"),
           "smb": tuple(f"{layer}.{part}" for layer in ("nbss", "smb1", "smb2", "smb3") for part in ("pdu", "hdr", "data"))}


def _frame(draft: Draft, text: str, at: int) -> None:
    """`frame:name` for the protocol of the rule, or `frame:protocol.name`. A name that there is not is malformed."""
    proto, _, name = text.partition(".")
    if proto not in PROTOCOLS or proto == "http":
        proto, name = draft.app_proto, text
    if proto in PROTOCOLS and not missing(proto) and name != "stream" and name not in _FRAMES.get(proto, ()) or not proto:
        raise RuleError(at, f"found {text!r} where a frame was expected: {', '.join(_FRAMES)} have some")
    draft.enter("frame", at)


def _sticky(buffer: str, proto: str) -> Setup:
    def setup(draft: Draft, text: str, at: int) -> None:
        draft.enter(buffer, at)
        if proto in _EITHER:
            if draft.app_proto not in ("", *_EITHER[proto]):
                raise RuleError(at, f"belongs to {' and '.join(_EITHER[proto])}, and the rule asks for {draft.app_proto}")
        elif proto:
            draft.protocol(proto, at)
    return setup


def _response_body(buffer: str, proto: str) -> Setup:
    """The file of a response: file.data, of HTTP alone, to the client."""
    def setup(draft: Draft, text: str, at: int) -> None:
        _sticky(buffer, proto)(draft, text, at)
        state = draft.flow or FlowState()
        draft.flow = replace(state, direction="to_client")
    return setup


def _modifier(buffer: str, proto: str) -> Setup:
    def setup(draft: Draft, text: str, at: int) -> None:
        pattern = draft.last(at)
        if draft.room is not None or pattern not in draft.payload().steps:
            raise RuleError(at, "there is no content before it that has no buffer yet")
        if pattern.rawbytes:
            raise RuleError(at, "raw bytes are those of the payload")
        draft.protocol(_FIRST.get(proto, proto), at)
        draft.move(pattern, buffer)
    return setup


def _content(buffer: str, proto: str) -> Setup:
    def setup(draft: Draft, text: str, at: int) -> None:
        content(draft, text, at)
        draft.protocol(_FIRST.get(proto, proto), at)
        draft.move(draft.last(at), buffer)
    return setup


#: The older keywords of HTTP know its first version alone.
_FIRST = {"http": "http1"}
#: Families whose buffers are of more than one protocol.
_EITHER = {"ja": ("tls", "quic")}
def _plain(draft: Draft, text: str, at: int) -> None:
    """Read by its room, once there is one."""


def _enter_rows() -> None:
    for family, table in _ROOMS.items():
        reason = _REASONS.get(family, f"needs the {family} room")
        for row in table.replace("|", "\n").strip().splitlines():
            names = row.split()
            kind, _, buffer = names.pop().partition(">") if names[-1].partition(">")[0] in _KINDS else ("", "", "")
            value, make = _KINDS[kind]
            proto = "" if family in _OF_NONE else _FIRST_ALONE.get(names[0], family)
            buffer = buffer or names[0]
            setup = make(buffer, proto) if make else _plain
            if names[0] == "http.response_body":
                setup = _response_body(buffer, proto)
            quoted = kind == "content"
            add(Keyword(names[0], family, value, setup, "must" if quoted else "optional", True,
                        reason="" if is_buffer(buffer) else reason, kind=kind.rstrip("=")), *names[1:])


#: Buffers of its first version alone.
_FIRST_ALONE = {"http.start": "http1"}
#: Families whose buffers say nothing of the protocol.
_OF_NONE = ("file",)


#: What a row says -> whether it takes a value, and what makes its setup of the buffer's name.
_KINDS: dict[str, tuple[Literal["none", "needed", "optional"], Callable[[str, str], Setup] | None]] = {
    "": ("needed", None), "!": ("none", None), "?": ("optional", None),
    "sticky": ("none", _sticky), "sticky=": ("needed", _sticky), "modifier": ("none", _modifier),
    "transform": ("none", None), "transform=": ("needed", None), "content": ("needed", _content),
}
_enter_rows()
add(Keyword("frame", "application-layer", "needed", _frame, reason="frames of a stream are not kept", kind="sticky"))
