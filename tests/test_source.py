"""The house rules, kept by reading the sources. Each check has planted violations that it must find."""
from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "fastpath"
LINES_MAX = 900
CYTHON = (".pyx", ".pxd")
CONTRACTS = (["applayer", "applayer"], ["applayer", "cursor"], ["applayer", "msgpack"])     # what others share of a stage, in a .pxd alone
DOORS = ("dissect", "tenants", "trial", "stream_trial", "room_trial", "device_trial")       # of the data plane: they may join stages, for tests and tools; like a stage, none may be cimported


# ---- reading ----

def without_comments(text: str) -> str:
    """Cython or Python source with comments and strings blanked, line numbers kept."""
    pattern = re.compile(r'"""(?:\\.|[^\\])*?"""|\'\'\'(?:\\.|[^\\])*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|#[^\n]*', re.DOTALL)
    return pattern.sub(lambda found: "\n" * found[0].count("\n"), text)


def line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def cdef_functions(text: str):
    """(position, result and name, parameters, what follows the parameters) of each `cdef` function of blanked source."""
    for found in re.finditer(r"^[ \t]*cdef\s+(?!class\b|extern\b|enum\b|struct\b|union\b)([^\n()=:]*?\w)\s*\(", text, re.MULTILINE):
        if found[1].rstrip().endswith("*"):         # a pointer to a function, not a function
            continue
        at = found.end()
        depth, end = 1, at
        while end < len(text) and depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        tail = re.match(r"[^\n:]*", text[end:])[0]
        yield found.start(), found[1], text[at:end - 1], tail


def cimports(module: str, text: str):
    """Absolute names that a Cython source cimports. `module` is its own name, for relative ones."""
    package = module.split(".")[:-1]

    def absolute(name: str) -> str:
        dots = len(name) - len(name.lstrip("."))
        if not dots:
            return name
        return ".".join(package[:len(package) - dots + 1] + ([name[dots:]] if name[dots:] else []))

    for found in re.finditer(r"^[ \t]*from\s+([.\w]+)\s+cimport\s+(\([^)]*\)|[^\n]*)", text, re.MULTILINE):
        base = absolute(found[1])
        for name in re.findall(r"(\w+|\*)(?:\s+as\s+\w+)?\s*(?:,|$)", found[2].strip("() \n").replace("\n", " ")):
            yield found.start(), f"{base}.{name}"
    for found in re.finditer(r"^[ \t]*cimport\s+([^\n]*)", text, re.MULTILINE):
        for name in found[1].split(","):
            yield found.start(), name.split(" as ")[0].strip()


def module_of(path: str) -> str:
    return "fastpath." + path.rsplit(".", 1)[0].replace("/", ".")


# ---- the checks: (path below src/fastpath, text) -> what is wrong ----

def stages_keep_apart(path: str, text: str, stages: frozenset[str]) -> list[str]:
    """Rule 1. A stage is a module of dataplane/, or a folder of it; what has no .pyx is a library."""
    parts = path.split("/")
    if parts[0] != "dataplane" or not path.endswith(CYTHON):
        return []
    own = parts[1].rsplit(".", 1)[0]
    if own in DOORS:
        return []
    wrong = []
    blank = without_comments(text)
    for at, name in cimports(module_of(path), blank):
        steps = name.split(".")
        if steps[:2] != ["fastpath", "dataplane"]:
            if steps[0] == "fastpath":
                wrong.append(f"{path}:{line_of(blank, at)}: cimports {name}, from above the data plane")
            continue
        other = steps[2] if len(steps) > 2 else "*"
        if steps[2:4] in CONTRACTS:
            continue
        if other in stages and other != own:
            wrong.append(f"{path}:{line_of(blank, at)}: stage {own} cimports stage {other}")
    return wrong


def wire_is_inline(path: str, text: str) -> list[str]:
    """Rule 2, as far as the place shows it: wire/ holds .pxd only, and each function there is inline, noexcept, nogil."""
    if not path.startswith("dataplane/wire/") or path.endswith("__init__.py"):
        return []
    if not path.endswith(".pxd"):
        return [f"{path}: wire/ holds .pxd only"]
    blank = without_comments(text)
    return [f"{path}:{line_of(blank, at)}: {name.split()[-1]} is not `cdef inline ... noexcept nogil`"
            for at, name, _, tail in cdef_functions(blank)
            if "inline" not in name.split() or "noexcept" not in tail or "nogil" not in tail]


def memoryviews_stay_at_the_door(path: str, text: str) -> list[str]:
    """Rule 3."""
    if not path.startswith("dataplane/") or not path.endswith(CYTHON):
        return []
    blank = without_comments(text)
    return [f"{path}:{line_of(blank, at)}: {name.split()[-1]} takes a memoryview without the GIL"
            for at, name, parameters, tail in cdef_functions(blank)
            if "nogil" in tail and re.search(r"\w\s*\[\s*:", parameters + " " + name)]


def void_is_noexcept(path: str, text: str) -> list[str]:
    """Rule 4, first part."""
    if not path.endswith(CYTHON):
        return []
    blank = without_comments(text)
    return [f"{path}:{line_of(blank, at)}: cdef void {name.split()[-1]} is nogil and not noexcept"
            for at, name, _, tail in cdef_functions(blank)
            if re.search(r"\bvoid\s+\w+$", name) and "nogil" in tail and "noexcept" not in tail]


def gil_is_not_taken(path: str, text: str) -> list[str]:
    """Rule 4, second part."""
    if not path.startswith("dataplane/") or not path.endswith(CYTHON):
        return []
    blank = without_comments(text)
    return [f"{path}:{line_of(blank, found.start())}: takes the GIL" for found in re.finditer(r"\bwith\s+gil\b", blank)]


def modules_hold_no_state(path: str, text: str) -> list[str]:
    """Rule 4, third part: neither Cython's nor C's."""
    if not (path.startswith("dataplane/") or path == "_core.pyx"):
        return []
    if path.endswith(CYTHON):
        blank = without_comments(text)
        declared = re.finditer(r"^cdef\s+(?!class\b|extern\b|enum\b|struct\b|union\b|packed\b|fused\b|inline\b|const\b)([^\n(]*)$",
                               blank, re.MULTILINE)
        wrong = [found for found in declared if not found[1].rstrip().endswith(":") or found[1].strip() == ":"]
        blocks = re.finditer(r"^cdef\s*:", blank, re.MULTILINE)
        places = sorted({found.start() for found in [*wrong, *blocks]})
        return [f"{path}:{line_of(blank, at)}: mutable state of a module" for at in places]
    if path.endswith((".h", ".c")):
        plain = re.sub(r"/\*.*?\*/|//[^\n]*", lambda found: "\n" * found[0].count("\n"), text, flags=re.DOTALL)
        found = re.finditer(r"^[ \t]*(?:static|extern)\s+(?!inline\b|const\b|_Static_assert\b)[^\n(){}]*[;=]", plain, re.MULTILINE)
        return [f"{path}:{line_of(plain, one.start())}: mutable state of a module" for one in found]
    return []


def no_struct_over_the_wire(path: str, text: str) -> list[str]:
    """Rule 5: no packed struct anywhere; where wire bytes are read, no byte pointer is cast to a wider type."""
    if not path.startswith("dataplane/") or not path.endswith((*CYTHON, ".h")):
        return []
    blank = without_comments(text) if path.endswith(CYTHON) else text
    wrong = [f"{path}:{line_of(blank, found.start())}: a packed struct"
             for found in re.finditer(r"cdef\s+packed\s+struct|__attribute__\s*\(\(\s*packed|#\s*pragma\s+pack", blank)]
    if re.match(r"dataplane/(wire/|applayer/|rx|decode|decap|defrag|stream)", path):
        cast = r"<\s*(?:const\s+)?(?:struct\s+)?(?!u?int8_t|char|unsigned char|void)(\w+)\s*\*\s*>\s*\(?\s*([\w.]+)"
        for found in re.finditer(cast, blank):
            if re.search(r"(frame|data|bytes|payload|header|wire|packet|cursor\.\w+|^p$|^at$|^ptr$)$", found[2]):
                wrong.append(f"{path}:{line_of(blank, found.start())}: {found[2]} cast to {found[1]} *")
    return wrong


def shared_structs_have_a_size(path: str, text: str) -> list[str]:
    """Rule 6."""
    if path != "dataplane/types.h":
        return []
    names = re.findall(r"typedef struct \w+ \{.*?^\} (\w+);", text, re.DOTALL | re.MULTILINE)
    return [f"{path}: no _Static_assert on sizeof({name})" for name in names if f"_Static_assert(sizeof({name}) ==" not in text]


def imports_point_down(path: str, text: str) -> list[str]:
    """Rule 8."""
    top = path.split("/")[0]
    if top not in ("rules", "control", "dataplane") or not path.endswith((".py", ".pyi", ".pyx")):
        return []
    wrong = []
    for line, name in imports(module_of(path), text, path.endswith(".pyx")):
        steps = name.split(".")
        if steps[0] != "fastpath" or len(steps) < 2:
            continue
        if top == "dataplane" and steps[1] != "dataplane":
            wrong.append(f"{path}:{line}: the data plane imports {name}")
        if top != "dataplane" and steps[1] in ("outputs", "cli"):
            wrong.append(f"{path}:{line}: {top}/ imports {name}")
    return wrong


def imports(module: str, text: str, cython: bool):
    """(line, absolute name) of every import, those inside functions too."""
    package = module.split(".")[:-1]
    if cython:
        blank = without_comments(text)
        for found in re.finditer(r"^[ \t]*from\s+(\.*)([\w.]*)\s+import\s+\(?\s*(\w+)", blank, re.MULTILINE):
            base = package[:len(package) - len(found[1]) + 1] if found[1] else []
            yield line_of(blank, found.start()), ".".join([*base, *([found[2]] if found[2] else []), found[3]])
        for found in re.finditer(r"^[ \t]*import\s+([\w.]+)", blank, re.MULTILINE):
            yield line_of(blank, found.start()), found[1]
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            for name in node.names:
                yield node.lineno, ".".join([*base, *([node.module] if node.module else []), name.name])


def stages_are_cython(path: str, text: str, siblings: frozenset[str]) -> list[str]:
    """Rule 7: a C file stands only beside the .pyx that it was generated from."""
    stem, _, kind = path.rpartition(".")
    if kind in ("c", "cc", "cpp", "cxx") and f"{stem}.pyx" not in siblings:
        return [f"{path}: C is for headers; a stage is Cython"]
    return []


def is_short(path: str, text: str) -> list[str]:
    lines = text.count("\n")
    return [f"{path}: {lines} lines; one idea a file, under {LINES_MAX}"] if lines >= LINES_MAX else []


MACHINE = re.compile(r"(?<![\w.])/(?:home|root|Users|work|opt/venv)/[\w.]+|/tmp/\w*venv|[A-Z]:\\\\?Users")
REGISTRY = re.compile(r"(?:--|PIP_|UV_)(?:extra-)?index[-_]url|index-url\s*=|https?://[^/\s\"']*(?:artifactory|nexus|registry|pypi-proxy|mirror)", re.IGNORECASE)


def names_no_machine(path: str, text: str) -> list[str]:
    """No path of one machine, no host of a package registry."""
    return [f"{path}:{line_of(text, found.start())}: {found[0]}" for pattern in (MACHINE, REGISTRY) for found in pattern.finditer(text)]


# ---- over the tree ----

def sources(root: Path):
    """(path below root, text) of each text file that is kept, generated ones left out."""
    for path in sorted(root.rglob("*")):
        if not path.is_file() or "__pycache__" in path.parts or path.suffix in (".so", ".pcap", ".pcapng", ".gz", ".zst", ".pyc"):
            continue
        if path.suffix in (".c", ".html", ".cpp") and path.with_suffix(".pyx").exists():
            continue
        yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8", errors="replace")


FILES = dict(sources(PACKAGE))
SIBLINGS = frozenset(FILES)
STAGES = frozenset(parts[1].removesuffix(".pyx") for parts in (path.split("/") for path in FILES)
                   if parts[0] == "dataplane" and parts[-1].endswith(".pyx"))

PLAIN_CHECKS = [wire_is_inline, memoryviews_stay_at_the_door, void_is_noexcept, gil_is_not_taken, modules_hold_no_state,
                no_struct_over_the_wire, shared_structs_have_a_size, imports_point_down]


@pytest.mark.parametrize("check", PLAIN_CHECKS, ids=lambda check: check.__name__)
def test_house_rule(check):
    assert [wrong for path, text in FILES.items() for wrong in check(path, text)] == []


def test_stages_keep_apart():
    assert [wrong for path, text in FILES.items() for wrong in stages_keep_apart(path, text, STAGES)] == []


def test_stages_are_cython():
    assert [wrong for path, text in FILES.items() for wrong in stages_are_cython(path, text, SIBLINGS)] == []


def kept_files():
    """Every text file of the repository: by git where it is one, else by walking."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                                capture_output=True, text=True).stdout.split("\0")
        paths = [ROOT / name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [ROOT / folder / name for folder in ("src", "tests", "bench") for name, _ in sources(ROOT / folder)]
    for path in paths:
        if path.is_file() and path.suffix in (".py", ".pyi", ".pyx", ".pxd", ".h", ".c", ".md", ".toml", ".yaml", ".yml", ".cfg", ".sh", ""):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8", errors="replace")


def test_files_are_short():
    assert [wrong for path, text in kept_files() if path.endswith((".py", ".pyi", ".pyx", ".pxd", ".h", ".c")) for wrong in is_short(path, text)] == []


def test_no_machine_is_named():
    """This file plants such names and is left out."""
    assert [wrong for path, text in kept_files() if path != "tests/test_source.py" for wrong in names_no_machine(path, text)] == []


# ---- what each check must find, and what it must let pass ----

PLANTED = [
    (wire_is_inline, "dataplane/wire/udp.pxd", "cdef uint32_t f(const uint8_t *p) noexcept nogil:\n    return 0\n"),
    (wire_is_inline, "dataplane/wire/udp.pxd", "cdef inline uint32_t f(\n        const uint8_t *p) nogil:\n    return 0\n"),
    (wire_is_inline, "dataplane/wire/udp.pyx", ""),
    (memoryviews_stay_at_the_door, "dataplane/decode.pyx", "cdef void f(const uint8_t[::1] p) noexcept nogil:\n    pass\n"),
    (void_is_noexcept, "dataplane/flow.pyx", "cdef void f(int x) nogil:\n    pass\n"),
    (void_is_noexcept, "dataplane/flow.pxd", "cdef inline void f(int x,\n                   int y) nogil\n"),
    (gil_is_not_taken, "dataplane/flow.pyx", "cdef int f() noexcept nogil:\n    with gil:\n        pass\n"),
    (modules_hold_no_state, "dataplane/flow.pyx", "cdef int counter\n"),
    (modules_hold_no_state, "dataplane/flow.pyx", "cdef uint64_t seen = 0\n"),
    (modules_hold_no_state, "dataplane/flow.pyx", "cdef uint8_t table[256]\n"),
    (modules_hold_no_state, "dataplane/flow.pyx", "cdef:\n    int counter\n"),
    (modules_hold_no_state, "dataplane/simd.h", "static int chosen = 0;\n"),
    (no_struct_over_the_wire, "dataplane/wire/tcp.pxd", "cdef packed struct tcp_header:\n    uint16_t sport\n"),
    (no_struct_over_the_wire, "dataplane/decode.pyx", "cdef int f(const uint8_t *frame) noexcept nogil:\n    return (<const tcp_t *>frame).sport\n"),
    (no_struct_over_the_wire, "dataplane/wire/tcp.pxd", "x = (<uint32_t *>(frame + 4))[0]\n"),
    (no_struct_over_the_wire, "dataplane/types.h", "struct x { int a; } __attribute__((packed));\n"),
    (shared_structs_have_a_size, "dataplane/types.h", "typedef struct thing {\n    int x;\n} thing_t;\n"),
    (imports_point_down, "control/engine.py", "from fastpath.outputs import eve\n"),
    (imports_point_down, "rules/parser.py", "def f():\n    from ..cli import main\n"),
    (imports_point_down, "control/engine.py", "from .. import outputs\n"),
    (imports_point_down, "control/engine.py", "import fastpath.outputs.eve\n"),
    (imports_point_down, "dataplane/rows.py", "from fastpath.control.stats import Stats\n"),
    (imports_point_down, "dataplane/match/prefilter.pyx", "from fastpath.rules import RuleSet\n"),
    (imports_point_down, "dataplane/rx.pyx", "from ..rules.plan import RulePlan\n"),
    (is_short, "rules/keywords.py", "x = 1\n" * LINES_MAX),
    (names_no_machine, "README.md", "see /home/me/notes\n"),
    (names_no_machine, "Makefile", "pip install --index-url https://x.example/simple\n"),
    (names_no_machine, "pyproject.toml", 'url = "https://registry.corp.example/simple"\n'),
]


@pytest.mark.parametrize("check, path, text", PLANTED, ids=lambda value: value.__name__ if callable(value) else None)
def test_planted_violation_is_found(check, path, text):
    assert check(path, text)


@pytest.mark.parametrize("text", [
    "from fastpath.dataplane.flow cimport flow_lookup\n",
    "from .flow cimport (\n    flow_lookup,\n)\n",
    "from . cimport flow\n",
    "from fastpath.dataplane cimport types, flow as f\n",
    "cimport fastpath.dataplane.flow as flow\n",
    "from .match.prefilter cimport prefilter_entry\n",
    "from fastpath._core cimport DataPlane\n",
])
def test_planted_cimport_is_found(text):
    assert stages_keep_apart("dataplane/decode.pyx", text, frozenset({"decode", "flow", "match"}))


def test_a_door_may_join_stages():
    text = "from fastpath.dataplane.flow cimport flow_lookup\n"
    assert stages_keep_apart("dataplane/dissect.pyx", text, frozenset({"dissect", "flow"})) == []
    assert stages_keep_apart("dataplane/decode.pyx", text.replace("flow", "dissect"), frozenset({"dissect", "decode"}))


def test_planted_c_stage_is_found():
    assert stages_are_cython("dataplane/flow.c", "", frozenset({"dataplane/flow.c"}))


@pytest.mark.parametrize("check, path, text", [
    (void_is_noexcept, "dataplane/flow.pyx", "cdef void f(int x) noexcept nogil:\n    pass\ncdef void *g(int x) nogil:\n    pass\n"),
    (void_is_noexcept, "dataplane/flow.pyx", "# cdef void f(int x) nogil\n"),
    (gil_is_not_taken, "dataplane/flow.pyx", '"""Never takes it: no `with gil` here."""\n'),
    (modules_hold_no_state, "dataplane/flow.pyx", "cdef class Table:\n    cdef int x\ncdef enum:\n    A = 1\ncdef inline int f() noexcept nogil:\n    return 1\n"),
    (modules_hold_no_state, "dataplane/flow.pyx", 'cdef extern from "x.h" nogil:\n    int y\ncdef struct s:\n    int x\n'),
    (modules_hold_no_state, "dataplane/types.h", "static inline void f(int x)\n{\n    x = 1;\n}\nstatic const int table[] = {1};\n"),
    (no_struct_over_the_wire, "dataplane/rx.pyx", "rows = <uint64_t *>malloc(8)\nmemcpy(&word, data, 4)\n"),
    (imports_point_down, "control/engine.py", "from fastpath.rules import RuleSet\n"),
    (imports_point_down, "dataplane/rows.py", "import numpy\nfrom fastpath.dataplane import types\nfrom . import rx\n"),
    (names_no_machine, "README.md", "apt install; see /etc/suricata and https://docs.suricata.io/\n"),
], ids=lambda value: value.__name__ if callable(value) else None)
def test_good_source_passes(check, path, text):
    assert check(path, text) == []


def test_stage_may_cimport_libraries_and_itself():
    text = "from fastpath.dataplane.types cimport burst_t\nfrom .wire.udp cimport udp_length\nfrom .match.program cimport op_t\nfrom libc.stdint cimport uint8_t\n"
    assert stages_keep_apart("dataplane/match/confirm.pyx", text.replace(".wire", "..wire").replace(".match.program", ".program"),
                             frozenset({"match", "flow", "decode"})) == []
