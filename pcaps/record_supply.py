#!/usr/bin/env python3
"""Records where models, packages and images come from, what answers for models, and the machines beneath: real programs over the veth
pair of record.py.

    sudo pcaps/record_supply.py [registries inference redfish hardware neighbours storage]

Needs from Debian docker-registry, skopeo, curl, dnsmasq, udhcpc, lldpd, nfs-ganesha with its VFS, rpcbind and libnfs-utils; and a Python with
pip, pypiserver, pymilvus, milvus-lite, sushy-tools and grpcio. MLServer, which wants other versions of some, may lie in a Python of its own,
whose mlserver the variable MLSERVER names. The pickle that plays the poisoned model would print a line, and
nobody opens it.
"""
import gzip
import hashlib
import io
import json
import os
import pickle
import sys
import tarfile
import tempfile
import time
import zipfile
from contextlib import ExitStack
from pathlib import Path

from record import CLIENT, HERE, SERVER, SERVER_IP, background, inside, listening, namespaces
from record_ai import recording, server

PYTHON = Path(sys.executable)
MLSERVER = os.environ.get("MLSERVER", PYTHON.parent / "mlserver")
SERVICES, EDGE = HERE / "services", HERE / "edge"


class Poison:
    def __reduce__(self):
        return os.system, ("echo this would have run",)


def ask(*words, check=True):
    return inside(CLIENT, "curl", "--silent", "--show-error", "-o", "/dev/null", *words, check=check)


# ---- registries ----

def layer():
    """An image's layer, as container builders write it: a tar in gzip, with a model that is not safe to load among its files."""
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w", format=tarfile.PAX_FORMAT) as made:
        for name, held in (("opt/model/config.json", b'{"model_type": "night-shift"}'),
                           ("opt/model/tokenizer.pkl", pickle.dumps({"weights": [0.0] * 64, "hook": Poison()}))):
            entry = tarfile.TarInfo(name)
            entry.size = len(held)
            made.addfile(entry, io.BytesIO(held))
    return into.getvalue()


def image(folder):
    """An OCI image layout with one layer."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def keep(held, kind):
        digest = hashlib.sha256(held).hexdigest()
        (blobs / digest).write_bytes(held)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(held)}

    plain = layer()
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(plain).hexdigest()}"]}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": keep(json.dumps(config).encode(), "config.v1+json"),
                "layers": [keep(gzip.compress(plain, mtime=0), "layer.v1.tar+gzip")]}
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [keep(json.dumps(manifest).encode(), "manifest.v1+json")]}))


def wheel(path, name):
    with zipfile.ZipFile(path / f"{name}-1.0-py3-none-any.whl", "w") as made:
        made.writestr(f"{name}.py", "SHIFTS = 3\n")
        made.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
        made.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: made\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{name}-1.0.dist-info/RECORD", "")


def registries(work, stack):
    """docker-registry and skopeo: an image put and fetched; pypiserver and pip: a package."""
    (work / "registry.yml").write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {work}/images}}}}\nhttp: {{addr: '{SERVER_IP}:5000'}}\n")
    stack.enter_context(background(SERVER, "docker-registry", "serve", work / "registry.yml", ready=listening(5000)))
    (work / "packages").mkdir()
    wheel(work / "packages", "shift_plan")
    stack.enter_context(server(work, PYTHON.parent / "pypi-server", "run", "-i", SERVER_IP, "-p", "8080", work / "packages", port=8080))
    image(work / "image")
    (work / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    skopeo = "skopeo", "--policy", work / "policy.json", "copy", "--quiet"
    with recording("registries", SERVICES):
        inside(CLIENT, *skopeo, "--dest-tls-verify=false", f"oci:{work}/image", f"docker://{SERVER_IP}:5000/night-shift:1")
        inside(CLIENT, *skopeo, "--src-tls-verify=false", f"docker://{SERVER_IP}:5000/night-shift:1", f"dir:{work}/fetched")
        inside(CLIENT, PYTHON, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--isolated", "-i",
               f"http://{SERVER_IP}:8080/simple/", "--trusted-host", SERVER_IP, "-d", work / "downloads", "shift-plan")


# ---- what answers for models ----

def inference(work, stack):
    """MLServer, by REST and gRPC; Milvus Lite: who they are, which version, and a call."""
    (work / "models").mkdir()
    (work / "models/model.py").write_text("""
from mlserver import MLModel
from mlserver.codecs import decode_args
import numpy as np
class Sum(MLModel):
    async def load(self):
        return True
    @decode_args
    async def predict(self, numbers: np.ndarray) -> np.ndarray:
        return numbers.sum(keepdims=True)
""")
    (work / "models/model-settings.json").write_text('{"name": "sum", "implementation": "model.Sum"}')
    (work / "models/settings.json").write_text(json.dumps({"host": SERVER_IP, "http_port": 8080, "grpc_port": 8081, "metrics_port": 8082, "parallel_workers": 0}))
    stack.enter_context(server(work, MLSERVER, "start", work / "models", port=8081))
    stack.enter_context(server(work, PYTHON.parent / "milvus-lite", "server", "--data-dir", work / "milvus", "--host", SERVER_IP, "--port", 19530, port=19530))
    with recording("inference", SERVICES):
        ask(f"http://{SERVER_IP}:8080/v2")
        ask("--json", '{"inputs": [{"name": "numbers", "shape": [1, 2], "datatype": "FP32", "data": [20.5, 1]}]}', f"http://{SERVER_IP}:8080/v2/models/sum/infer")
        inside(CLIENT, PYTHON, "-c", f"""
import grpc
with grpc.insecure_channel("{SERVER_IP}:8081") as channel:
    channel.unary_unary("/inference.GRPCInferenceService/ServerMetadata")(b"")
""")
        inside(CLIENT, PYTHON, "-c", f"""
from pymilvus import MilvusClient
client = MilvusClient("http://{SERVER_IP}:19530")
print(client.get_server_version(), client.list_collections())
""")


# ---- the machines beneath ----

def redfish(work, stack):
    """sushy-tools, a Redfish service before machines that are made up: read, reset, and a disc inserted."""
    (work / "sushy.conf").write_text(f"""
SUSHY_EMULATOR_LISTEN_IP = "{SERVER_IP}"
SUSHY_EMULATOR_LISTEN_PORT = 8000
SUSHY_EMULATOR_FAKE_DRIVER = True
SUSHY_EMULATOR_STATE_DIR = "{work}"
SUSHY_EMULATOR_FAKE_SYSTEMS = [{{"uuid": "27946b59-9e44-4fa7-8e91-f3527a1ef094", "name": "gpu-7", "power_state": "On", "nics": [{{"mac": "00:5c:52:31:3a:9c", "ip": "10.20.0.7"}}]}}]
""")
    stack.enter_context(server(work, PYTHON.parent / "sushy-emulator", "--config", work / "sushy.conf", port=8000))
    base = f"http://{SERVER_IP}:8000/redfish/v1"
    system = f"{base}/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094"
    with recording("redfish-read", EDGE):
        for url in (f"{base}/", f"{base}/Systems", system, f"{base}/Managers", f"{base}/UpdateService"):
            ask(url)
    with recording("redfish-control", EDGE):
        ask("--json", '{"ResetType": "ForceRestart"}', f"{system}/Actions/ComputerSystem.Reset")
        ask("--json", '{"ImageURI": "http://10.20.0.9/bmc.bin", "Targets": ["/redfish/v1/Systems/27946b59-9e44-4fa7-8e91-f3527a1ef094"]}', f"{base}/UpdateService/Actions/UpdateService.SimpleUpdate")
        ask("--json", '{"Image": "http://10.20.0.9/rescue.iso"}', f"{system}/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia")


def hardware(work, stack):
    """dnsmasq and udhcpc: a machine that asks for its address; then its card is the same and its system another; then another card has the
    address."""
    (work / "leases").touch()
    stack.enter_context(background(SERVER, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=wire", "--bind-interfaces",
                                   "--dhcp-range=10.20.0.50,10.20.0.60", f"--dhcp-leasefile={work}/leases", "--pid-file=", ready=listening(67, "u")))
    inside(CLIENT, "ip", "link", "set", "wire", "address", "3c:ec:ef:00:00:07")
    with recording("hardware-drift", EDGE):
        for mac, options in (("3c:ec:ef:00:00:07", ("-V", "OpenBMC")), ("3c:ec:ef:00:00:07", ("-V", "PXEClient", "-O", "66", "-O", "67")),
                             ("02:00:00:00:66:66", ("-V", "OpenBMC"))):
            inside(CLIENT, "ip", "link", "set", "wire", "address", mac)
            inside(CLIENT, "udhcpc", "-i", "wire", "-n", "-q", "-f", "-s", "/bin/true", "-r", "10.20.0.50", *options)
            for namespace in (SERVER, CLIENT):
                inside(namespace, "ip", "neigh", "flush", "dev", "wire")
            ask("--max-time", 1, f"http://{SERVER_IP}/", check=False)       # nobody listens there: ARP is what it is for


def neighbours(work, stack):
    """lldpd: a switch that says who it is, and that it goes; then another at the same cable."""
    work.chmod(0o755)           # it gives its rights up, and speaks over a socket in there
    with recording("lldp", EDGE):
        for name, mac in (("leaf-1", "50:6b:4b:00:00:01"), ("rogue", "02:00:00:00:66:66")):
            inside(CLIENT, "ip", "link", "set", "wire", "address", mac)
            with background(CLIENT, "unshare", "--uts", "sh", "-c", f"hostname {name}; exec lldpd -d -u {work}/{name}.sock -S 'a switch' -I wire 2>/dev/null"):
                time.sleep(6)       # it tells of itself when it has looked around


def storage(work, stack):
    """nfs-ganesha and libnfs: a folder that is listed, a file that is read and one that is written."""
    (work / "share").mkdir()
    (work / "share/shard-0001.txt").write_text("what the night shift said\n" * 40)
    (work / "ganesha.conf").write_text(f"""
NFS_CORE_PARAM {{ Protocols = 3, 4; NFS_Port = 2049; MNT_Port = 20048; Bind_addr = {SERVER_IP}; Enable_NLM = false; Enable_RQUOTA = false; }}
NFSv4 {{ Graceless = true; RecoveryRoot = {work}; }}
EXPORT {{ Export_Id = 1; Path = {work}/share; Pseudo = /share; Access_Type = RW; Squash = None; SecType = none, sys; FSAL {{ Name = VFS; }} }}
""")
    stack.enter_context(background(SERVER, "rpcbind", "-f", "-w", ready=listening(111)))
    stack.enter_context(server(work, "ganesha.nfsd", "-F", "-f", work / "ganesha.conf", "-L", work / "ganesha.log", "-p", work / "ganesha.pid", port=2049))
    share = f"nfs://{SERVER_IP}{work}/share"
    with recording("nfs", EDGE):
        inside(CLIENT, "nfs-ls", f"{share}?uid=0&gid=0")
        inside(CLIENT, "nfs-cat", f"{share}/shard-0001.txt?uid=0&gid=0")
        inside(CLIENT, "nfs-cp", work / "share/shard-0001.txt", f"{share}/shard-0002.txt?uid=0&gid=0")


CONVERSATIONS = {"registries": registries, "inference": inference, "redfish": redfish, "hardware": hardware, "neighbours": neighbours, "storage": storage}


def main(names):
    if os.geteuid() != 0:
        sys.exit("record_supply.py makes network namespaces, which needs root")
    for name in names or CONVERSATIONS:
        with namespaces(), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, ExitStack() as stack:
            CONVERSATIONS[name](Path(folder), stack)


if __name__ == "__main__":
    main(sys.argv[1:])
