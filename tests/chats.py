"""Talk with language models over HTTP, as captures."""
from __future__ import annotations

import json
from collections.abc import Sequence

from captures import conversation, tcp


def chat(text: str, *, model: str = "m", key: str = "sk-a") -> bytes:
    """A request of OpenAI's kind."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}]}).encode()
    return b"POST /v1/chat/completions HTTP/1.1\r\nHost: llm.test\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s" % (
        key.encode(), len(body), body)


def reply(text: str) -> bytes:
    body = json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def call() -> bytes:
    """A tool of MCP is called ..."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "fetch", "arguments": {"page": "news"}}}).encode()
    return b"POST /mcp HTTP/1.1\r\nHost: tools.test\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def tool_result(text: str) -> bytes:
    """... and this is what it gives, as an event stream."""
    event = b"event: message\r\ndata: " + json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": text}]}}).encode() + b"\r\n\r\n"
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(event), event)


def chats(texts: Sequence[str], **options) -> list[bytes]:
    """A connection for each, one after the other."""
    return [frame for number, text in enumerate(texts) for frame in conversation([(chat(text, **options), reply("fine"))], sport=41000 + number)]


def pieces(request: bytes, answer: bytes, size: int, *, sport: int = 40000) -> list[bytes]:
    """A connection whose sides send their bytes in segments of this size, each acknowledged."""
    frames = [tcp(sport=sport, flags=2, seq=999), tcp(src="10.0.0.2", sport=80, dst="10.0.0.1", dport=sport, flags=18, seq=8999, ack=1000),
              tcp(sport=sport, seq=1000, ack=9000)]
    client, server = 1000, 9000
    for at in range(0, len(request), size):
        data = request[at:at + size]
        frames.append(tcp(data, sport=sport, flags=0x18, seq=client, ack=server))
        client += len(data)
        frames.append(tcp(src="10.0.0.2", sport=80, dst="10.0.0.1", dport=sport, seq=server, ack=client))
    for at in range(0, len(answer), size):
        data = answer[at:at + size]
        frames.append(tcp(data, "10.0.0.2", 80, "10.0.0.1", sport, flags=0x18, seq=server, ack=client))
        server += len(data)
        frames.append(tcp(sport=sport, seq=client, ack=server))
    frames += [tcp(sport=sport, flags=17, seq=client, ack=server), tcp(src="10.0.0.2", sport=80, dst="10.0.0.1", dport=sport, flags=17, seq=server, ack=client + 1),
               tcp(sport=sport, seq=client + 1, ack=server + 1)]
    return frames
