"""A bill of materials of what was fetched: models, data sets, packages and container images, from where and by whom, as CycloneDX 1.6.

It says what the wire showed, and nothing of what was there before: a component is a file that was seen, with its hash where all of it was.
"""
from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from fastpath.control.columns import address_text
from fastpath.control.models import is_upload
from fastpath.control.result import Batch
from fastpath.outputs.eve_app import FILE, AppRows
from fastpath.outputs.guard import Guard

FETCHES_MAX = 100_000
FACTS = ("format", "architecture", "framework", "producer", "tensors", "parameters")
DATA_FORMATS = ("npy", "npz", "hdf5")
DATA_FILES = re.compile(r"\.(?:parquet|arrow|feather|csv|tsv|jsonl|ndjson|tfrecord|npy|npz|h5|hdf5)(?:\.(?:gz|zst|bz2))?$", re.IGNORECASE)
WHEEL = re.compile(r"/(?P<name>[A-Za-z0-9._]+)-(?P<version>[0-9][A-Za-z0-9._!+]*)(?:-[0-9][^-/]*)?-[^-/]+-[^-/]+-[^-/]+\.whl$")
SDIST = re.compile(r"/packages/(?:[^/]+/)*(?P<name>[A-Za-z0-9._-]+)-(?P<version>[0-9][A-Za-z0-9.!+]*)\.(?:tar\.gz|zip)$")
NPM = re.compile(r"^/(?P<name>(?:@[^/]+/)?[^/]+)/-/[^/]+?-(?P<version>[0-9][^/]*)\.tgz$")
CONDA = re.compile(r"/(?:noarch|[a-z]+-[a-z0-9]+)/(?P<name>[^/]+)-(?P<version>[^-/]+)-[^-/]+\.(?:conda|tar\.bz2)$")
IMAGE = re.compile(r"^/v2/(?P<name>[^?]+)/(?P<what>manifests|blobs)/(?P<version>[^/?]+)$")


@dataclass(slots=True)
class Fetch:
    """One file on its way. ts: ns since 1970. by, source: addresses of who has it now, and of who had it. url: "" where the protocol has none."""
    ts: int
    by: str
    source: str
    port: int
    protocol: str
    url: str
    name: str
    size: int
    sha256: str
    upload: bool
    model: dict[str, Any] = field(default_factory=dict)


class Fetches:
    """A sink that keeps the files of a run; `left_out` counts what found no room."""
    wants = frozenset(("apps",))

    def __init__(self) -> None:
        self.items: list[Fetch] = []
        self.left_out = 0

    def write(self, batch: Batch) -> None:
        from fastpath.outputs.eve_app import APP_PROTOS
        apps = AppRows(batch)
        guard = Guard(batch, apps)
        for at, row in enumerate(apps.rows):
            if int(row["kind"]) != FILE:
                continue
            if len(self.items) == FETCHES_MAX:
                self.left_out += 1
                continue
            [record] = guard.events([apps.record(at)])
            info, http, key = record["fileinfo"], record.get("http", {}), row["key"]
            client, net = int(row["reversed"]), int(key["net"])
            upload = is_upload(int(row["direction"]), record)
            giver = client if upload else 1 - client
            host = http.get("hostname", "")
            self.items.append(Fetch(
                int(row["ts"]), address_text(net, key["addr"][1 - giver].tobytes()), address_text(net, key["addr"][giver].tobytes()),
                int(key["port"][1 - client]), APP_PROTOS[int(row["proto"])], _url(host, int(key["port"][1 - client]), http.get("url", "")) if host else "", info.get("filename", ""),
                info["size"], info.get("sha256", "") if info["state"] == "CLOSED" else "", upload, info.get("model", {})))

    def close(self, stats: dict[str, Any]) -> None:
        """The run is over."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a fetch is: a type of CycloneDX, a name, a version, a package URL (ECMA-427)."""
    kind: str
    name: str
    version: str = ""
    purl: str = ""


def identify(fetch: Fetch) -> Known | None:
    """None for what is none of a bill's business: pages, answers of programs."""
    path = unquote(urlsplit(fetch.url).path) if fetch.url else fetch.name.replace("\\", "/")
    leaf = path.rstrip("/").rpartition("/")[2] or fetch.name
    image = IMAGE.search(path)
    if image and fetch.url:
        name, version = image["name"], image["version"]
        digest = f"@{quote(version, safe='')}" if version.startswith("sha256:") else ""
        host = urlsplit(fetch.url).netloc
        return Known("container" if image["what"] == "manifests" else "file", name if image["what"] == "manifests" else f"{name} layer", version,
                     f"pkg:oci/{quote(name.rpartition('/')[2].lower())}{digest}?repository_url={quote(f'{host}/{name}', safe='')}")
    if fetch.model:
        return Known("data" if fetch.model["format"] in DATA_FORMATS else "machine-learning-model", leaf)
    for expression, kind in ((WHEEL, "pypi"), (SDIST, "pypi"), (NPM, "npm"), (CONDA, "conda")):
        found = expression.search(path)
        if found:
            name = re.sub(r"[-_.]+", "-", found["name"]).lower() if kind == "pypi" else found["name"]
            return Known("library", name, found["version"], f"pkg:{kind}/{quote(name, safe='/')}@{quote(found['version'])}")
    return Known("data", leaf) if DATA_FILES.search(leaf) else None


def write_bom(fetches: list[Fetch], version: str) -> str:
    """The bill as JSON, the same for the same fetches. version: of fastpath. Raises ImportError without cyclonedx-python-lib."""
    from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, "".join(f"{one.ts} {one.url} {one.name} {one.sha256}\n" for one in fetches)))
    bom.metadata.timestamp = datetime.fromtimestamp(max((one.ts for one in fetches), default=0) // 10**9, UTC)
    bom.metadata.tools.components.add(Component(name="fastpath", version=version, type=ComponentType.APPLICATION, bom_ref="fastpath"))
    made: dict[tuple[Known, str], Component] = {}
    for fetch in fetches:
        known = identify(fetch)
        if known is None:
            continue
        key = known, fetch.sha256
        if key not in made:
            made[key] = Component(
                name=_plain(known.name), version=_plain(known.version) or None, type=ComponentType(known.kind), bom_ref=f"component-{len(made) + 1}",
                purl=PackageURL.from_string(known.purl) if known.purl else None,
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=fetch.sha256)] if fetch.sha256 else [])
        component = made[key]
        if fetch.url:
            component.external_references.add(ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(quote(fetch.url, safe=":/?#[]@!$&'()*+,;=%~-._"))))
        seen = datetime.fromtimestamp(fetch.ts / 1e9, UTC).isoformat()
        said = [("fetch", f"{seen} {fetch.protocol} {'upload' if fetch.upload else 'download'} from {fetch.source} to {fetch.by}, {fetch.size} bytes"),
                *((name, str(fetch.model[name])) for name in FACTS if name in fetch.model),
                *(("unsafe", " ".join(finding.values())) for finding in fetch.model.get("unsafe", ()))]
        for name, value in said:
            component.properties.add(Property(name=f"fastpath:{name}", value=_plain(value)))
    for component in made.values():
        bom.components.add(component)
    return JsonV1Dot6(bom).output_as_string(indent=2)


def _url(host: str, port: int, path: str) -> str:
    if path.startswith(("http://", "https://")):        # through a proxy
        return path
    return f"http://{host}{f':{port}' if port != 80 and ':' not in host else ''}{path}"


def _plain(text: str) -> str:
    """Without control characters: what came off the wire stays text."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", text)
