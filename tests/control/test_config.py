"""Settings: stock values, suricata.yaml with includes, --set, what is honoured, errors with their place."""
from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fastpath.control.config import Config, ConfigError, is_honoured, is_inert
from fastpath.dataplane.hosts import host_ranges


def written(tmp_path: Path, text: str, name: str = "suricata.yaml") -> Path:
    path = tmp_path / name
    path.write_text("%YAML 1.1\n---\n" + text)
    return path


def test_stock_values_are_suricatas():
    config = Config()
    assert config["packet-alert-max"] == 15
    assert config.variables["HOME_NET"] == "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]"
    assert config.variables["ORACLE_PORTS"] == "1521"
    settings = config.settings()
    assert settings["flow_memcap"] == 128 << 20
    assert settings["flow_timeouts"]["tcp"] == {"new": 60, "established": 600, "closed": 60}
    assert settings["flow_timeouts"]["udp"] == {"new": 30, "established": 300, "closed": 0}
    assert settings["tunnels"] == {"teredo": [3544], "vxlan": [4789], "geneve": [6081]}
    assert settings["checksums"] == "auto"
    assert not config.honoured and not config.inert and not config.unsupported


def test_every_stock_key_of_an_installed_suricata_is_ours():
    path = Path("/etc/suricata/suricata.yaml")
    if not path.exists():
        pytest.skip("no suricata.yaml is installed")
    config, stock = Config.load(path), Config()
    for key in stock.values:
        if not key.startswith("decoder.max-layers"):
            assert config[key] == stock[key], key


@pytest.mark.parametrize("caps, buckets", [
    (("128mb", "64mb", "256mb"), 8), (("1gb", "1gb", "1gb"), 128), (("64gb", "64gb", "64gb"), 128), (("1mb", "64mb", "256mb"), 1),
    (("16mb", "64mb", "256mb"), 2), (("15mb", "64mb", "256mb"), 1),
])
def test_buckets_follow_from_the_smallest_share(caps, buckets):
    names = ("flow.memcap", "stream.memcap", "stream.reassembly.memcap")
    assert Config.load(None, [f"{name}={cap}" for name, cap in zip(names, caps, strict=True)]).buckets == buckets


def test_a_file_changes_what_it_names(tmp_path):
    path = written(tmp_path, """
vars:
  address-groups:
    HOME_NET: [10.0.0.0/8, "!10.1.0.0/16"]
  port-groups:
    VXLAN_PORTS: [8472, 4789]
flow:
  memcap: 1gb
rule-files: [a.rules, /abs/b.rules]
default-rule-path: /rules
outputs:
  - fast: {enabled: yes}
stream:
  midstream: true
  drop-invalid: true
""")
    config = Config.load(path)
    assert config.variables["HOME_NET"] == "[10.0.0.0/8,!10.1.0.0/16]"
    assert config.variables["EXTERNAL_NET"] == "!$HOME_NET"
    assert config.settings()["tunnels"]["vxlan"] == [8472, 4789]
    assert config["flow.memcap"] == 1 << 30
    assert config.rule_files == [Path("/rules/a.rules"), Path("/abs/b.rules")]
    assert config.settings()["stream"]["midstream"] is True
    assert config.inert == ["outputs.0.fast.enabled"]
    assert config.unsupported == ["stream.drop-invalid"]
    assert config.summary() == "6 settings honoured, 1 without effect here, 1 not supported"


def test_includes_are_followed(tmp_path):
    written(tmp_path, "HOME_NET: 10.9.0.0/16\n", "home.yaml")
    written(tmp_path, "packet-alert-max: 255\n", "max.yaml")
    written(tmp_path, "flow: {memcap: 32mb}\n", "flow.yaml")
    path = written(tmp_path, "vars:\n  address-groups: !include home.yaml\ninclude: [max.yaml, flow.yaml]\n")
    config = Config.load(path)
    assert (config.variables["HOME_NET"], config["packet-alert-max"], config["flow.memcap"]) == ("10.9.0.0/16", 255, 32 << 20)


@pytest.mark.parametrize("text, place, message", [
    ("flow:\n  memcap: much\n", ":4:11", "flow.memcap: expected a size such as 64mb, found 'much'"),
    ("packet-alert-max: 0\n", ":3:19", "expected a number from 1 to 255"),
    ("vlan:\n  use-for-tracking: perhaps\n", ":4:21", "expected yes or no"),
    ("include: gone.yaml\n", ":3:10", "cannot include gone.yaml: no such file"),
    ("flow: [\n", ":4:1", "not YAML"),
    ("- a\n", ":3:1", "expected keys and values"),
    ("vars:\n  address-groups:\n    HOME_NET:\n", ":5:13", "expected a value"),
])
def test_errors_name_their_place(tmp_path, text, place, message):
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        Config.load(path)
    assert str(caught.value).startswith(f"{path}{place}: ")
    assert message in str(caught.value)


def test_an_include_of_itself_ends(tmp_path):
    path = written(tmp_path, "include: suricata.yaml\n")
    with pytest.raises(ConfigError, match="includes nest deeper"):
        Config.load(path)


def test_set():
    config = Config.load(None, ["flow-timeouts.tcp.new=7", "rule-files.0=x.rules", "rule-files.1=y.rules", "no.such.key=1", "mpm-algo=hs"])
    assert config["flow-timeouts.tcp.new"] == 7
    assert [path.name for path in config.rule_files] == ["x.rules", "y.rules"]
    assert config.unsupported == ["no.such.key"]
    assert config.inert == ["mpm-algo"]


@pytest.mark.parametrize("text, message", [
    ("flow.memcap", "--set:1:1: expected key=value"),
    ("=1", "--set:1:1: expected key=value"),
    ("flow.memcap=x", "--set:1:13: flow.memcap: expected a size"),
    ("rule-files.7=x", "--set:1:1: rule-files.7: rule-files has 0 entries"),
])
def test_set_errors(text, message):
    with pytest.raises(ConfigError) as caught:
        Config().set(text)
    assert str(caught.value).startswith(message)


def test_ports_of_tunnels():
    config = Config.load(None, ["decoder.vxlan.ports=[$GENEVE_PORTS, 1]", "decoder.teredo.enabled=no"])
    assert config.settings()["tunnels"] == {"teredo": [], "vxlan": [6081, 1], "geneve": [6081]}
    for bad, message in (("$GONE", "is not defined"), ("any", "expected ports"), ("70000", "expected ports")):
        with pytest.raises(ConfigError, match=message):
            Config.load(None, [f"decoder.vxlan.ports={bad}"]).settings()
    with pytest.raises(ConfigError, match="is defined by itself"):
        Config.load(None, ["vars.port-groups.VXLAN_PORTS=$VXLAN_PORTS"]).settings()


def test_defrag_and_host_policies(tmp_path):
    settings = Config().settings()
    assert settings["defrag"] == {"memcap": 32 << 20, "trackers": 65535, "max_frags": 65535, "timeout": 60}
    assert settings["hosts"] == host_ranges({"windows": ["0.0.0.0/0"]})
    path = written(tmp_path, "defrag: {memcap: 1mb, timeout: 5, prealloc: yes, hash-size: 9}\nhost-os-policy:\n  windows: []\n"
                             "  linux: [10.0.0.0/8, \"::1\"]\n  macos:\n    - 192.168.0.1\n")
    config = Config.load(path, ["host-os-policy.bsd=[10.0.0.1]", "defrag.max-frags=7"])
    assert config.settings()["hosts"] == host_ranges({"linux": ["10.0.0.0/8", "::1"], "macos": ["192.168.0.1"], "bsd": ["10.0.0.1"]})
    assert config.settings()["defrag"] == {"memcap": 1 << 20, "trackers": 65535, "max_frags": 7, "timeout": 5}
    assert config.inert == ["defrag.prealloc", "defrag.hash-size"] and not config.unsupported
    with pytest.raises(ConfigError, match=r"a\.yaml:4:10: .*no host-os-policy is named 'plan9'"):
        Config.load(written(tmp_path, "host-os-policy:\n  plan9: [10.0.0.1]\n", "a.yaml")).settings()
    for bad in ("defrag.timeout=0", "defrag.trackers=0", "host-os-policy.bsd=[10.0.0.300]"):
        with pytest.raises(ConfigError, match="expected"):
            Config.load(None, [bad])


def test_kinds_of_keys_do_not_overlap():
    for key in Config().values:
        assert not is_inert(key)
    assert is_honoured("vars.address-groups.ANY_NAME")
    assert not is_honoured("vars.address-groups.a.b")


def test_a_binary_file_is_refused(tmp_path):
    path = tmp_path / "x.yaml"
    shutil.copyfile("/bin/true", path)
    with pytest.raises(ConfigError):
        Config.load(path)


def test_a_list_with_nothing_behind_its_key_is_empty(tmp_path):
    (tmp_path / "a.yaml").write_text("%YAML 1.1\n---\nrule-files:\n")
    assert Config.load(tmp_path / "a.yaml").rule_files == []
