#!/usr/bin/env python3
"""Records real programs talking over a veth pair between two network namespaces of its own.

    sudo pcaps/record.py [http dns tls ssh]

Each conversation becomes one capture beside this script, and a copy in src/fastpath/demo/. Needs root, ip, tcpdump and ethtool,
and the programs that talk: nginx, curl, dnsmasq, dig, openssl, sshd, ssh. Offloads are off, so that the capture shows what a
wire would carry: segments of the size of the link, with their checksums. Nothing leaves the namespaces, and both go at the end.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE_DATA = HERE.parent / "src/fastpath/demo"
CLIENT, SERVER = f"fastpath-client-{os.getpid()}", f"fastpath-server-{os.getpid()}"
CLIENT_IP, SERVER_IP, SERVER_IP6 = "10.20.0.2", "10.20.0.1", "fd20::1"


def run(*command, check=True, **options):
    return subprocess.run([str(word) for word in command], check=check, capture_output=True, text=True, **options)


def inside(namespace, *command, check=True, **options):
    return run("ip", "netns", "exec", namespace, *command, check=check, **options)


@contextmanager
def namespaces():
    """Two namespaces, a veth pair between them, addresses on both ends."""
    try:
        for name in (CLIENT, SERVER):
            run("ip", "netns", "add", name)
            inside(name, "ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "wire", "netns", CLIENT, "type", "veth", "peer", "name", "wire", "netns", SERVER)
        for name, address in ((CLIENT, "2"), (SERVER, "1")):
            inside(name, "ethtool", "-K", "wire", "tx", "off", "gso", "off", "gro", "off", "tso", "off")
            inside(name, "ip", "addr", "add", f"10.20.0.{address}/24", "dev", "wire")
            inside(name, "ip", "addr", "add", f"fd20::{address}/64", "dev", "wire", "nodad")
            inside(name, "ip", "link", "set", "wire", "up")
        yield
    finally:
        for name in (CLIENT, SERVER):
            run("ip", "netns", "del", name, check=False)


@contextmanager
def background(namespace, *command, ready=lambda: True):
    """A program that runs until the block ends."""
    process = subprocess.Popen(["ip", "netns", "exec", namespace, *map(str, command)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        for _ in range(100):
            if process.poll() is not None:
                sys.exit(f"{command[0]} ended: {process.stderr.read().decode()}")
            if ready():
                break
            time.sleep(0.05)
        else:
            sys.exit(f"{command[0]} is not ready after 5 s")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)


def listening(port, kind="t"):
    """Whether somebody listens on the port in the server's namespace."""
    return lambda: f":{port} " in inside(SERVER, "ss", f"-Hln{kind}").stdout


@contextmanager
def recording(name):
    path = HERE / f"{name}.pcap"
    path.unlink(missing_ok=True)

    def opened():
        return path.exists() and path.stat().st_size >= 24      # the file header is there: it captures

    only_ours = "not icmp6 and not (udp port 5353)"             # without what the kernels say to each other by themselves
    with background(SERVER, "tcpdump", "-i", "wire", "-U", "--immediate-mode", "-Z", "root", "-s", 0, "-w", path, only_ours,
                    ready=opened):
        yield
        time.sleep(0.5)         # the last segments
    if PACKAGE_DATA != HERE:
        shutil.copyfile(path, PACKAGE_DATA / path.name)
    print(f"{path.name}: {path.stat().st_size} bytes")


def http(work, stack):
    """nginx and curl: pages, a file of several segments, HEAD, POST, a missing page, two requests on one connection, IPv6."""
    site = work / "site"
    site.mkdir()
    (site / "index.html").write_text("<!doctype html><title>fastpath</title><p>A page like any other.\n")
    (site / "data.txt").write_text("".join(f"line {number} of a text file\n" for number in range(600)))
    (work / "nginx.conf").write_text(f"""
        daemon off; master_process off; pid {work}/nginx.pid; error_log {work}/error.log;
        events {{}}
        http {{
            access_log off; server_tokens off; client_body_temp_path {work}; proxy_temp_path {work};
            fastcgi_temp_path {work}; uwsgi_temp_path {work}; scgi_temp_path {work};
            types {{ text/html html; text/plain txt; }}
            server {{
                listen 80; listen [::]:80; root {site};
                location /form {{ return 204; }}
            }}
        }}""")
    stack.enter_context(background(SERVER, "nginx", "-c", work / "nginx.conf", "-e", work / "error.log", ready=listening(80)))
    with recording("http"):
        for words in (
            [f"http://{SERVER_IP}/"],
            [f"http://{SERVER_IP}/data.txt", f"http://{SERVER_IP}/"],
            ["--head", f"http://{SERVER_IP}/data.txt"],
            ["--data", "name=fastpath&colour=blue", f"http://{SERVER_IP}/form"],
            [f"http://{SERVER_IP}/missing"],
            [f"http://[{SERVER_IP6}]/"],
        ):
            inside(CLIENT, "curl", "--silent", "--show-error", "-o", "/dev/null", "-o", "/dev/null", *words)


def dns(work, stack):
    """dnsmasq and dig: the common record types, a name that does not exist, over UDP, TCP and IPv6."""
    stack.enter_context(background(
        SERVER, "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--user=root", "--conf-file=/dev/null",
        f"--pid-file={work}/dnsmasq.pid", "--host-record=www.example.test,192.0.2.80,2001:db8::80",
        "--mx-host=example.test,mail.example.test,10", "--txt-record=example.test,v=spf1 -all", "--auth-ttl=60",
        "--cname=alias.example.test,www.example.test", "--local=/test/", ready=listening(53, "u")))
    with recording("dns"):
        for words in (["A", "www.example.test"], ["AAAA", "www.example.test"], ["MX", "example.test"], ["TXT", "example.test"],
                      ["A", "alias.example.test"], ["A", "nowhere.example.test"], ["+tcp", "A", "www.example.test"]):
            inside(CLIENT, "dig", f"@{SERVER_IP}", "+tries=1", *words)
        inside(CLIENT, "dig", f"@{SERVER_IP6}", "+tries=1", "A", "www.example.test")


def tls(work, stack):
    """openssl s_server and s_client: TLS 1.3 and TLS 1.2, one page each."""
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 3650, "-subj", "/CN=www.example.test",
        "-keyout", work / "key.pem", "-out", work / "cert.pem")
    stack.enter_context(background(SERVER, "openssl", "s_server", "-accept", 443, "-www", "-key", work / "key.pem",
                                   "-cert", work / "cert.pem", ready=listening(443)))
    with recording("tls"):
        for version in ("-tls1_3", "-tls1_2"):
            inside(CLIENT, "openssl", "s_client", "-connect", f"{SERVER_IP}:443", "-servername", "www.example.test", version,
                   "-quiet", "-no_ign_eof", input="GET / HTTP/1.0\r\n\r\n", check=False)


def ssh(work, stack):
    """sshd and ssh: one login with a key made for this, one command."""
    for name in ("host", "user"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", work / name)
    Path("/run/sshd").mkdir(exist_ok=True)
    stack.enter_context(background(
        SERVER, "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", work / "host", "-o", f"AuthorizedKeysFile={work}/user.pub",
        "-o", "StrictModes=no", "-o", "PermitRootLogin=yes", "-o", "PasswordAuthentication=no", "-o", f"PidFile={work}/sshd.pid",
        ready=listening(22)))
    with recording("ssh"):
        inside(CLIENT, "ssh", "-F", "/dev/null", "-i", work / "user", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes",
               "-o", f"UserKnownHostsFile={work}/known", f"root@{SERVER_IP}", "seq 1 2000")


CONVERSATIONS = {"http": http, "dns": dns, "tls": tls, "ssh": ssh}


def main(names):
    if os.geteuid() != 0:
        sys.exit("record.py makes network namespaces, which needs root")
    for name in names or CONVERSATIONS:
        with namespaces(), tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            CONVERSATIONS[name](Path(folder), stack)


if __name__ == "__main__":
    main(sys.argv[1:])
