"""Models of packs/ai_factory: every rule catches what it is for and leaves alone what is like it; weights and the policy; what is fetched."""
from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import pickle
import re
from pathlib import Path

import made_models as made
import made_smb as smb
import pytest
from captures import write_pcap

import fastpath as fp
from fastpath.outputs.eve import EveWriter
from fastpath.packs.ai_factory import supply, weights

PCAPS = Path(__file__).parents[2] / "pcaps"
RECORDED = PCAPS / "models" / "models.pcap"
OUTSIDE = "203.0.113.9"

#: sid -> a file that it catches, and one that it must leave alone.
UNSAFE = {
    9402001: (made.torch_zip(pickle.dumps(made.Runs(), 2), method=8), made.torch_zip(method=8)),
    9402002: (b"\x80\x02cnobody\nknows\n)R.", b"\x80\x02ccollections\nOrderedDict\n)R."),
    9402003: (b"\x80\x04NN\x93" + b"0" + b"N." + bytes(16), b"\x80\x04\x8c\x0bcollections\x8c\x0bOrderedDict\x93."),
    9402004: (b"\x80\x02\x82\x070N." + bytes(16), b"\x80\x02K\x07." + bytes(16)),
    9402005: (b"\x80\x02Nr\xff\xff\xff\xff." + bytes(16), b"\x80\x02Nr\xff\x00\x00\x00." + bytes(16)),
    9402006: (b"\x80\x02" + b"(" * 400, b"\x80\x02" + b"(" * 20 + b"t" * 20 + b"."),
    9402010: (made.keras_zip("Lambda"), made.keras_zip("Dense")),
    9402011: (made.gguf(b"{{ ''.__class__ }}"), made.gguf()),
    9402012: (made.savedmodel(b"WriteFile"), made.savedmodel(b"RestoreV2")),
    9402013: (made.onnx(b"../../etc/passwd"), made.onnx(b"weights/0.bin")),
    9402020: (made.torch_zip(more=[("../../.ssh/authorized_keys", b"x")]), made.torch_zip(more=[("model/..data", b"x")])),
    9402021: (made.linked_zip(), made.torch_zip()),
    9402022: (made.torch_zip().replace(b"model/data/0PK\x05", b"model/data/1PK\x05"), made.torch_zip()),
    9402023: (made.torch_zip(b"\x80\x03B" + (68 << 20).to_bytes(4, "little") + bytes(68 << 20) + b".", method=8), made.torch_zip(method=8)),
    9402024: (gzip.compress(made.tar([("../weights.npy", made.npy())])), gzip.compress(made.tar([("weights.npy", made.npy()), ("lib/a", "../b")]))),
    9402025: (gzip.compress(made.npy())[:-9], gzip.compress(made.npy())),
    9402030: (b"\x10\0\0\0\0\0\0\0" + b'{"a":{"dtype":}}' + bytes(8), made.safetensors()),
    9402031: (made.safetensors(extra=b"more"), made.safetensors()),
    9402032: (made.gguf(version=99), made.gguf()),
}


@pytest.fixture(scope="module")
def engine():
    rules = fp.RuleSet.pack("ai_factory")
    assert not rules.refusals, [f"{refusal.place}: {refusal.reason}" for refusal in rules.refusals]
    with fp.Engine(rules) as one:
        yield one


def sids(engine, path: Path, packets: list[bytes]) -> set[int]:
    result = engine.replay(write_pcap(path, packets))
    return {alert["sid"] for alert in result.alerts if 9402000 <= alert["sid"] < 9403000}


def test_every_rule_has_its_case(engine):
    text = (Path(fp.__file__).parent / "packs" / "ai_factory" / "models.rules").read_text()
    assert {int(sid) for sid in re.findall(r"sid:(\d+)", text)} == set(UNSAFE)


@pytest.mark.parametrize("sid", UNSAFE)
def test_unsafe_models(engine, sid, tmp_path):
    bad, good = UNSAFE[sid]
    assert sid in sids(engine, tmp_path / "bad.pcap", made.download(bad))
    assert sid in sids(engine, tmp_path / "up.pcap", made.upload(bad))
    assert not {9402001, 9402002, sid} & sids(engine, tmp_path / "good.pcap", made.download(good))


#: A small model of each format whose files are weights.
WEIGHTS = {"safetensors": made.safetensors(), "gguf": made.gguf(), "pytorch": made.torch_zip(), "onnx": made.onnx(), "savedmodel": made.savedmodel(),
           "keras_hdf5": made.keras_hdf5(), "keras": made.keras_zip(), "tensorrt": b"ftrt" + bytes(60)}


@pytest.mark.parametrize("number, name", list(enumerate(weights.FORMATS)))
def test_weights_leave(engine, number, name, tmp_path):
    sid = weights.FIRST_SID + 10 * number
    body = WEIGHTS[name]
    assert sids(engine, tmp_path / "a.pcap", made.upload(body, dst=OUTSIDE)) == {sid}
    assert sids(engine, tmp_path / "b.pcap", made.download(body, src=OUTSIDE, dst="10.0.0.2")) == {sid}
    assert sids(engine, tmp_path / "c.pcap", made.upload(body)) == set()
    assert sids(engine, tmp_path / "d.pcap", made.download(body, dst=OUTSIDE)) == set()


@pytest.mark.parametrize("number, name", list(enumerate(weights.FORMATS)))
def test_large_weights_leave(number, name, tmp_path):
    """The size is that of the file: of one that was followed to its end."""
    rules = fp.RuleSet.parse(weights.rules().replace(f"filesize:>{weights.LARGE}", "filesize:>3000"))
    body = WEIGHTS[name]
    with fp.Engine(rules) as one:
        for extra, expected in ((0, 1), (4000, 2)):
            found = {alert["sid"] for alert in one.replay(write_pcap(tmp_path / "a.pcap", made.upload(body + bytes(extra), dst=OUTSIDE))).alerts}
            assert found == {weights.FIRST_SID + 10 * number + which for which in range(expected)}


POLICY = """
version: 1
segments:
  training: {addresses: [10.0.0.0/24]}
  elsewhere: {addresses: [10.9.0.0/16]}
lines:
- {name: all, from: any, to: any, action: allow}
residency:
- {name: weights stay, data: weights, from: [training], to: [training]}
"""


def test_residency_of_weights(tmp_path):
    """The policy's zones go by the data class that the rules set, between segments of the same network too."""
    policy = fp.Policy.parse(POLICY)
    with fp.Engine(fp.RuleSet.pack("ai_factory"), policy=policy, mode="ips") as one:
        stays = one.replay(write_pcap(tmp_path / "a.pcap", made.upload(made.safetensors({"w": ("U8", [9000], 9000)}))))
        leaves = one.replay(write_pcap(tmp_path / "b.pcap", made.upload(made.safetensors({"w": ("U8", [9000], 9000)}), dst="10.9.0.1")))
    assert stays.stats["verdicts"] == {"pass": stays.stats["packets"]}
    assert leaves.stats["drops"].get("policy", 0) > 5


#: sid of "without encryption" -> host that is known, path.
FETCHED = {
    0: ("files.pythonhosted.org", "/packages/ab/cd/requests-2.31.0.tar.gz", "/packages/list.html"),
    1: ("pypi.org", "/simple/requests/", "/simple-minded/requests"),
    2: ("files.pythonhosted.org", "/x/requests-2.31.0-py3-none-any.whl", "/x/wheels.whl.html"),
    3: ("registry.npmjs.org", "/@types/node/-/node-20.1.0.tgz", "/a/-/readme"),
    4: ("conda.anaconda.org", "/conda-forge/noarch/tqdm-4.66.1-pyhd8ed1ab_0.conda", "/x/tqdm.conda"),
    5: ("registry-1.docker.io", "/v2/library/nginx/manifests/latest", "/v1/library/manifests/latest"),
    6: ("registry-1.docker.io", "/v2/library/nginx/blobs/sha256:" + "a" * 64, "/v2/library/nginx/blobs/sha256:short"),
    7: ("huggingface.co", "/meta/llama/resolve/main/config.json", "/resolve/that"),
}


@pytest.mark.parametrize("number", range(len(supply.KINDS)))
def test_what_is_fetched(engine, number, tmp_path):
    host, path, other = FETCHED[number]
    sid = supply.FIRST_SID + 10 * number
    known = sids(engine, tmp_path / "a.pcap", made.download(b"x", path, host))
    assert sid in known and sid + 1 not in known
    assert {sid, sid + 1} <= sids(engine, tmp_path / "b.pcap", made.download(b"x", path, "mirror.example"))
    assert {sid, sid + 1} <= sids(engine, tmp_path / "c.pcap", made.download(b"x", path, f"{host}.evil.example"))
    assert not {sid, sid + 1} & sids(engine, tmp_path / "d.pcap", made.download(b"x", other, "mirror.example"))


def test_dependency_confusion(tmp_path):
    rules = fp.RuleSet.load([], texts=[(supply.confusion_rules(["acme-train", "# ours", "", "@acme/web"], "names").encode(), "names")])
    assert not rules.refusals
    with fp.Engine(rules) as one:
        for path, expected in (("/simple/acme-train/", {9402800}), ("/simple/Acme_Train/", {9402800}), ("/packages/acme_train-1.0-py3-none-any.whl", {9402800}),
                               ("/@acme/web", {9402801}), ("/simple/acme-trainer/", set()), ("/simple/other/", set())):
            result = one.replay(write_pcap(tmp_path / "a.pcap", made.download(b"x", path, "pypi.org", dst=OUTSIDE)))
            assert {alert["sid"] for alert in result.alerts} == expected, path
        assert not len(one.replay(write_pcap(tmp_path / "b.pcap", made.download(b"x", "/simple/acme-train/"))).alerts)
    with pytest.raises(ValueError, match="names:1:1: 'no name!'"):
        supply.confusion_rules(["no name!"], "names")


def test_recorded_models(engine):
    """Files that the libraries themselves have written, served by Python's own server."""
    out = io.BytesIO()
    result = engine.replay(RECORDED, sinks=[EveWriter(out, ["model", "fileinfo"])])
    found = {(model.name, model.format, model.unsafe) for model in result.models}
    assert found == {
        ("/data.npy", "npy", ()), ("/data.npz", "npz", ()), ("/dense.h5", "keras_hdf5", ()), ("/lambda.h5", "keras_hdf5", ("keras_lambda Lambda",)),
        ("/plain.pkl", "pickle", ()), ("/plain.pt", "pytorch", ()), ("/running.pkl", "pickle", ("pickle_import posix.system",)),
        ("/running.pt", "pytorch", ("pickle_import posix.system",)), ("/small.gguf", "gguf", ()),
        ("/reaching.gguf", "gguf", ("gguf_template __init__", "gguf_template __globals__")), ("/small.onnx", "onnx", ()),
        ("/small.safetensors", "safetensors", ()), ("/upload/small.safetensors", "safetensors", ())}
    tensors = {model.name: (model.tensors, model.parameters, model.told) for model in result.models}
    assert tensors["/small.safetensors"] == (2, 15, "pt") and tensors["/small.gguf"] == (1, 12, "llama") and tensors["/small.onnx"] == (1, 12, "fastpath-test")
    assert {alert["sid"] for alert in result.alerts} == {9402001, 9402010, 9402011}
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    models = {event["model"]["filename"]: event for event in events if event["event_type"] == "model"}
    assert len(models) == 13 and models["/upload/small.safetensors"]["model"]["direction"] == "upload"
    assert models["/upload/small.safetensors"]["src_ip"] == "10.20.0.2" and models["/small.gguf"]["src_ip"] == "10.20.0.1"
    assert {one.sha256 for one in result.models if "safetensors" in one.name} == {models["/small.safetensors"]["model"]["sha256"]}
    assert all(event["fileinfo"]["model"]["format"] for event in events if event["event_type"] == "fileinfo")


@pytest.mark.parametrize("burst, workers", [(1, 1), (7, 2), (256, 4)])
def test_the_same_whatever_the_bursts(burst, workers):
    rules = fp.RuleSet.pack("ai_factory")
    with fp.Engine(rules) as one, fp.Engine(rules, burst=burst, workers=workers) as other:
        first, second = one.replay(RECORDED), other.replay(RECORDED)
    assert first.digest == second.digest and first.models == second.models


def test_large_files_are_followed(tmp_path):
    """Beyond what of a body is inspected, to the end of the stream: the digest is that of the whole file."""
    body = made.safetensors({"w": ("U8", [400_000], 400_000)})
    rules = fp.RuleSet.parse('alert http any any -> any any (msg:"x"; file.model; content:"safetensors"; sid:1;)')
    with fp.Engine(rules) as one:
        found = one.replay(write_pcap(tmp_path / "a.pcap", made.download(body))).models
    assert [(model.size, model.sha256, model.unsafe) for model in found] == [(len(body), hashlib.sha256(body).hexdigest(), ())]


def test_a_broken_stream_tells_no_digest(tmp_path):
    packets = made.download(made.safetensors({"w": ("U8", [40_000], 40_000)}))
    rules = fp.RuleSet.parse('alert http any any -> any any (msg:"x"; file.model; content:"safetensors"; sid:1;)')
    with fp.Engine(rules) as one:
        found = one.replay(write_pcap(tmp_path / "a.pcap", packets[:20])).models
    assert [(model.format, model.whole, model.sha256, model.unsafe) for model in found] == [("safetensors", False, "", ())]


@pytest.mark.parametrize("event, body", ids=("malformed", "limit"), argvalues=[("model_malformed", made.safetensors(extra=b"x")), ("model_limit", b"\x80\x02" + b"(" * 400)])
@pytest.mark.parametrize("header", ["alert http any any -> any any", "alert tcp any any -> any any"])
def test_events(header, event, body, tmp_path):
    rules = fp.RuleSet.parse(f'{header} (msg:"x"; flow:to_client; app-layer-event:file.{event}; sid:1;)')
    assert not rules.refusals
    with fp.Engine(rules) as one:
        assert len(one.replay(write_pcap(tmp_path / "a.pcap", made.download(body))).alerts) == 1
        assert not len(one.replay(write_pcap(tmp_path / "b.pcap", made.download(made.safetensors()))).alerts)


def by_ftp(body: bytes, command: bytes) -> list[bytes]:
    control = made.transfer([(b"", b"220 hi\r\n"), (b"USER a\r\n", b"331 who\r\n"), (b"PASS b\r\n", b"230 in\r\n"), (b"TYPE I\r\n", b"200 ok\r\n"),
                             (b"PASV\r\n", b"227 Entering Passive Mode (10,0,0,2,200,1)\r\n"), (command + b" m/model.gguf\r\n", b"150 ok\r\n")], dport=21)
    pair = (body, b"") if command == b"STOR" else (b"", body)
    return [*control[:-3], *made.transfer([pair], sport=41000, dport=51201), *control[-3:]]


def by_mail(body: bytes) -> list[bytes]:
    text = (b"From: a@b.c\r\nSubject: weights\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=BB\r\n\r\n--BB\r\n"
            b"Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"model.gguf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64.encodebytes(body).replace(b"\n", b"\r\n") + b"--BB--\r\n.\r\n")
    return made.transfer([(b"", b"220 hi ESMTP\r\n"), (b"EHLO a\r\n", b"250 hi\r\n"), (b"MAIL FROM:<a@b.c>\r\n", b"250 ok\r\n"), (b"RCPT TO:<d@e.f>\r\n", b"250 ok\r\n"),
                          (b"DATA\r\n", b"354 go\r\n"), (text, b"250 ok\r\n"), (b"QUIT\r\n", b"221 bye\r\n")], dport=25)


@pytest.mark.parametrize("packets, protocol, upload", [(by_ftp(UNSAFE[9402011][0], b"STOR"), "ftp-data", True), (by_ftp(UNSAFE[9402011][0], b"RETR"), "ftp-data", False),
                                                       (by_mail(UNSAFE[9402011][0]), "smtp", True)], ids=["stor", "retr", "mail"])
def test_other_protocols(engine, packets, protocol, upload, tmp_path):
    result = engine.replay(write_pcap(tmp_path / "a.pcap", packets))
    assert 9402011 in {alert["sid"] for alert in result.alerts}
    found = [(model.protocol, model.upload, model.format, model.name.rpartition("/")[2], model.sha256) for model in result.models]
    assert found == [(protocol, upload, "gguf", "model.gguf", hashlib.sha256(UNSAFE[9402011][0]).hexdigest())]


@pytest.mark.parametrize("upload", [True, False], ids=["write", "read"])
def test_smb(engine, upload, tmp_path):
    body, fid = UNSAFE[9402011][0], bytes(range(16))
    moved = (9, smb.ask_write(fid, 0, body), smb.answer_write(len(body))) if upload else (8, smb.ask_read(fid, 0, len(body)), smb.answer_read(body))
    steps = [(0, smb.ask_negotiate(0x0302), smb.answer_negotiate(0x0302)), (3, smb.ask_tree("\\\\srv\\models"), smb.answer_tree()),
             (5, smb.ask_create("llm\\model.gguf"), smb.answer_create(fid, len(body))), moved, (6, smb.ask_close(fid), bytes(60))]
    turns = [tuple(smb.nbss(smb.smb2(command, one, message=number, response=which == 1)) for which, one in enumerate(pair))
             for number, (command, *pair) in enumerate(steps)]
    result = engine.replay(write_pcap(tmp_path / "a.pcap", made.transfer(turns, dport=445)))
    assert 9402011 in {alert["sid"] for alert in result.alerts}
    assert [(model.protocol, model.upload, model.format, model.name) for model in result.models] == [("smb", upload, "gguf", "llm\\model.gguf")]


def test_a_registry_and_its_clients(engine):
    """docker-registry and skopeo, pypiserver and pip, recorded: a pickle in the layer of an image, as it is put and as it is fetched."""
    result = engine.replay(PCAPS / "services" / "registries.pcap")
    unsafe = [(model.upload, model.format, model.unsafe) for model in result.models]
    assert unsafe == [(True, "pickle", ("pickle_import posix.system",)), (False, "pickle", ("pickle_import posix.system",))]
    alerts = {alert["sid"] for alert in result.alerts}
    assert 9402001 in alerts and {supply.FIRST_SID + 10 * number + which for number in (0, 1, 2, 5, 6) for which in range(2)} <= alerts
    assert not any(supply.FIRST_SID + 10 * number in alerts for number in (3, 4, 7))
