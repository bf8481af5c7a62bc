"""A rule set: the plans of the rules that are honoured and the refusals of those that are not."""
from __future__ import annotations

import glob
import mmap
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from .cache import Cache, CacheWarning, key_of, open_cache
from .datasets import DataFiles, digest_of
from .leaks import DATA_CLASS, Sought, finds_data, sought_by
from .lexer import rule_texts
from .plan import Refusal, RulePlan
from .planner import Planner
from .reputation import Reputations
from .stock import STOCK_CLASSIFICATIONS, STOCK_REFERENCES, STOCK_VARIABLES
from .texts import Text, Texts, numbers_of
from .thresholds import Line, apply_thresholds, load_thresholds
from .variables import Groups

if TYPE_CHECKING:
    import numpy as np

    from fastpath.dataplane.match.database import Database

Paths = str | Path | Iterable[str | Path]


class RuleSet:
    """Rules, read.

    plans: those that are honoured, in order of loading; of a rule set that came from a cache they are read when they are asked for.
    refusals: the others, each with its place and reason.
    rules, exact, refused, malformed, disabled: how many; rules = exact + refused, malformed ones are among the refused,
    disabled ones (behind a #) are not counted in rules unless they were asked for.
    """

    def __init__(self, *, variables: Mapping[str, str] | None = None, classifications: Mapping[str, tuple[str,
        int]] | None = None,
                 references: Mapping[str, str] | None = None, event_names: Iterable[str] | None = None,
                 reputations: Reputations | None = None, data_files: DataFiles | None = None):
        event_names = None if event_names is None else frozenset(event_names)
        self._plans: list[RulePlan] = []
        self.refusals: list[Refusal] = []
        self.disabled = 0
        self.files: list[str] = []
        self.classifications = dict(STOCK_CLASSIFICATIONS if classifications is None else classifications)
        self.references = dict(STOCK_REFERENCES if references is None else references)
        self.variables = {**STOCK_VARIABLES, **{name: str(value) for name, value in _named(variables).items()}}
        self._groups = Groups(self.variables)
        self._planner = Planner(self._groups, event_names, reputations, data_files)
        self._index: dict[tuple[int, int], int] = {}
        self._cache: Cache | None = None
        self._sought: tuple[tuple[int, bool], tuple[dict[Sought, set[tuple[int, int]]], frozenset[str]]] | None = None
        self._facts: list[object] = []          # all that plans follow from, where there is a cache
        self._texts: Texts | None = None        # what the cache knows of rules that are not read yet
        self._unread = False
        self._sources: list[tuple[bytes, str]] = []     # what all was read from: text and the name of its file
        self._compiled: tuple[object, _Compiled] | None = None  # the latest compiled form, behind what it was asked with
        self._numbers: np.ndarray | None = None
        self._include_disabled = False
        self._lines: list[Line] = []            # of threshold.config, to be applied to them
        #: How these rules were read, for others to be read alike: what load() takes, and `limits`, the files that limit() was given.
        self.reading: dict[str, Any] = {"variables": variables, "classifications": classifications, "references": references,
                                        "event_names": event_names, "reputations": reputations, "data_files": data_files,
                                        "limits": []}

    @classmethod
    def load(cls, paths: Paths, *, variables: Mapping[str, str] | None = None, classifications: Mapping[str, tuple[str,
        int]] | None = None,
             references: Mapping[str, str] | None = None, event_names: Iterable[str] | None = None,
             reputations: Reputations | None = None, data_files: DataFiles | None = None, include_disabled: bool = False,
             cache: bool | str | Path = False, packs: Iterable[str] = (), texts: Iterable[tuple[bytes, str]] = ()) -> Self:
        """Reads files, folders (their *.rules, sorted) and globs, in the order given.

        variables: address and port groups by name, over Suricata's stock ones. classifications: name -> (description,
        priority); references: system -> prefix; both stock if not given. event_names: full names of the events that
        decode-event may name. reputations: what iprep asks. data_files: where data sets have their files. include_disabled: rules behind a # are loaded too. cache: where
        what was read and compiled is kept for the next time: True for $FASTPATH_CACHE or the user's cache folder, a folder, or
        False; a folder that others may enter is not used, and a CacheWarning says so. packs: names of packs (fastpath.packs) whose rules
        come before those of the files. texts: rules made by other means, each text with the name that places give it; they come last. Raises FileNotFoundError for a path that
        names nothing. What is wrong with a rule never raises: it is a refusal.
        """
        from fastpath.packs import VARIABLES
        packs = tuple(packs)
        given = _named(variables)
        rules = cls(variables=VARIABLES | given if packs else given, classifications=classifications, references=references,
                    event_names=event_names, reputations=reputations, data_files=data_files)
        rules._include_disabled = include_disabled
        rules.reading["variables"] = variables
        rules.reading |= {"include_disabled": include_disabled, "packs": tuple(packs), "cache": cache, "texts": tuple(texts)}
        from fastpath.packs import texts as texts_of
        texts = [*(text for name in rules.reading["packs"] for text in texts_of(name)), *((path.read_bytes(), str(path)) for path in _files(paths)),
                 *rules.reading["texts"]]
        if cache is not False:
            rules._cache = open_cache(cache)
        if rules._cache is not None:
            events = None if event_names is None else sorted(event_names)
            rules._facts = [[(file, blake2b(text).digest()) for text, file in texts], sorted(rules.variables.items()), sorted(rules.classifications.items()),
                            sorted(rules.references.items()), events, reputations and reputations.facts(), include_disabled, repr(data_files)]
            if rules._from_cache(rules._cache, texts):
                return rules
        rules._read(texts)
        if rules._cache is not None:
            lists = rules.lists
            rules._cache.put("rules", key_of(rules._facts), Texts.parts(rules._plans, rules.refusals, rules.disabled, lists))
            rules._facts.append(sorted(lists.items()))
        return rules

    @classmethod
    def pack(cls, name: str, **options: Any) -> Self:
        """The rules of a pack, "ai_factory" for one; options as in load(). LookupError for a pack that is not there."""
        return cls.load((), packs=(name,), **options)

    @classmethod
    def parse(cls, text: str | bytes, *, file: str = "<rules>", variables: Mapping[str, str] | None = None,
              classifications: Mapping[str, tuple[str, int]] | None = None, references: Mapping[str, str] | None = None,
              event_names: Iterable[str] | None = None, reputations: Reputations | None = None, data_files: DataFiles | None = None,
              include_disabled: bool = False) -> Self:
        """Reads rules from a text; `file` is what places name. The rest is as in load()."""
        rules = cls(variables=variables, classifications=classifications, references=references, event_names=event_names,
                    reputations=reputations, data_files=data_files)
        rules._include_disabled = include_disabled
        if not isinstance(text, (str, bytes)):
            raise TypeError(f"text must be str or bytes, not {type(text).__name__}")
        raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
        rules._read([(raw, file)])
        return rules

    @property
    def plans(self) -> list[RulePlan]:
        if self._unread:
            self._unread = False
            self.refusals, self.disabled = [], 0
            self._read(self._sources)
            apply_thresholds(self._plans, self._lines)
        return self._plans

    @property
    def sought(self) -> tuple[dict[Sought, set[tuple[int, int]]], frozenset[str]]:
        """What the rules that find data look for, and in which protocols: leaks.sought_by, of the rules at hand."""
        state = len(self._plans), self._unread
        if self._sought is None or self._sought[0] != state:
            self._sought = state, sought_by(self.finding)
        return self._sought[1]

    @property
    def finding(self) -> list[RulePlan]:
        """The rules that find data (`metadata: data_class`): of a rule set that came from a cache these alone are read."""
        if not self._unread:
            return [plan for plan in self._plans if finds_data(plan.metadata)]
        reader = Planner(self._groups, None, None)
        found = []
        for text, file in self._sources:
            if DATA_CLASS.encode() in text:
                sources = (source for source in rule_texts(text.decode("latin-1"), file, self._include_disabled) if DATA_CLASS in source.text)
                found += [plan for plan in map(reader.plan, sources) if isinstance(plan, RulePlan)]
        return found

    @property
    def numbers(self) -> np.ndarray:
        """gid, sid and rev of each rule: an array of texts.NUMBERS."""
        if self._texts is not None:
            return self._texts.numbers
        if self._numbers is None or len(self._numbers) != len(self._plans):
            self._numbers = numbers_of(self._plans)
        return self._numbers

    def text(self, rule: int) -> RulePlan | Text:
        """What alerts say of the rule with this index."""
        return self._plans[rule] if self._texts is None else self._texts[rule]

    @property
    def lists(self) -> Mapping[str, bytes]:
        """The files of data sets that rules named, each with the digest of what was read there; b"" for none."""
        return self._texts.lists if self._texts is not None else self._planner.lists

    @property
    def exact(self) -> int:
        return len(self)

    @property
    def refused(self) -> int:
        return len(self.refusals)

    @property
    def malformed(self) -> int:
        return sum(refusal.malformed for refusal in self.refusals)

    @property
    def rules(self) -> int:
        return self.exact + self.refused

    @property
    def counts(self) -> dict[str, int]:
        """rules, exact, refused, malformed, disabled."""
        return {"rules": self.rules, "exact": self.exact, "refused": self.refused, "malformed": self.malformed,
            "disabled": self.disabled}

    def check(self) -> dict[str, Any]:
        """What `rules check --json` prints: integers rules, exact and refused, and refusals, each with file, line, column, sid,
        keyword and reason."""
        return {"rules": self.rules, "exact": self.exact, "refused": self.refused,
                "refusals": [{"file": refusal.place.file, "line": refusal.place.line, "column": refusal.place.column,
                              "sid": refusal.sid, "keyword": refusal.keyword, "reason": refusal.reason}
                             for refusal in self.refusals]}

    def limit(self, path: str | Path) -> None:
        """Applies a threshold.config to the rules. OSError where it cannot be read; ValueError with file and line for what cannot be
        honoured."""
        lines = load_thresholds(path, self._groups)
        self.reading["limits"].append(path)
        self._limit(lines)

    def _limit(self, lines: list[Line]) -> None:
        self._facts.append(lines)
        self._lines += lines
        if not self._unread:
            apply_thresholds(self._plans, lines)

    def assess(self, event_codes: Mapping[str, int] | None = None) -> dict[str, Any]:
        """What the rules cost: check() with `groups`, how many an entry's rules are chosen from, and `cost`: see cost.summary().
        The rules are compiled for it, which takes seconds for a large set. event_codes: as compile() takes them."""
        from .cost import summary
        database = self.compile(event_codes)
        return self.check() | {"groups": database.groups, "cost": summary(self.plans)}

    def priority(self, plan: RulePlan) -> int:
        """The priority of a rule: its own, or that of its classtype, or 3."""
        if plan.priority is not None:
            return plan.priority
        return self.classifications.get(plan.classtype, ("", 3))[1]

    def compile(self, event_codes: Mapping[str, int] | None = None, **options: Any) -> Database:
        """The compiled form for the data plane; of rules that were compiled alike before, what was made then. event_codes: number of
        each event by full name."""
        made = self.compiled(event_codes, **options)
        if made is not None:
            return made
        asked, key = self._asked(event_codes or {}, options)
        self._compiled = asked, _compile(self, *asked[2:])
        if self._cache is not None:
            self._compiled[1].keep(self._cache, key)
        return self._compiled[1].open()

    def compiled(self, event_codes: Mapping[str, int] | None = None, **options: Any) -> Database | None:
        """As compile(), of rules that need not be compiled for it; None for others."""
        asked, key = self._asked(event_codes or {}, options)
        if self._compiled is not None and self._compiled[0] == asked:
            return self._compiled[1].open()
        if self._cache is None:
            return None
        try:
            found = _Compiled.kept(self._cache, key)
            if found is None:
                return None
            made = found.open()
        except ValueError as error:
            warnings.warn(f"{self._cache.folder}: a compiled form is not used and made anew: {error}", CacheWarning, stacklevel=3)
            return None
        self._compiled = asked, found
        return made

    def _asked(self, event_codes: Mapping[str, int], options: Mapping[str, Any]) -> tuple[tuple[Any, ...], bytes]:
        """All that a compiled form follows from, for this rule set and, as a key, for a cache (b"" where there is none)."""
        priorities = {name: priority for name, (_, priority) in self.classifications.items()}
        options = {"priorities": priorities} | dict(options)
        key = key_of(self._facts, sorted(event_codes.items()), sorted(options.items())) if self._cache is not None else b""
        return (len(self._sources), len(self._lines), dict(event_codes), options), key

    def told(self) -> tuple[list[tuple[bytes, str]], dict[str, Any], list[Line]]:
        """What `retold` makes the same rules of: texts with their names, how they were read, and limits; all but the first are small."""
        reading = {name: self.reading[name] for name in ("event_names", "reputations", "data_files")}
        return self._sources, reading | {"variables": self.variables, "classifications": self.classifications,
                                         "references": self.references, "include_disabled": self._include_disabled}, self._lines

    @classmethod
    def retold(cls, texts: list[tuple[bytes, str]], reading: dict[str, Any], lines: list[Line]) -> Self:
        rules = cls.load((), **reading, texts=texts)
        rules._limit(lines)
        return rules

    def compile_into(self, cache: Cache, key: bytes, event_codes: Mapping[str, int], options: Mapping[str, Any]) -> None:
        """Leaves the compiled form in a cache, under a key, for `adopt` of another rule set of the same rules."""
        _compile(self, event_codes, self._asked(event_codes, options)[0][3]).keep(cache, key)

    def adopt(self, cache: Cache, key: bytes, event_codes: Mapping[str, int], options: Mapping[str, Any]) -> None:
        """Takes the compiled form that is there for its own. ValueError where there is none."""
        found = _Compiled.kept(cache, key)
        if found is None:
            raise ValueError("the compiled form is gone")
        asked, own = self._asked(event_codes, options)
        self._compiled = asked, found
        if self._cache is not None:
            found.keep(self._cache, own)

    def forget_cache(self) -> None:
        """The cache is no more; what is mapped of it stays."""
        self._cache = None

    def __len__(self) -> int:
        return len(self._plans) if self._texts is None else len(self._texts)

    def __repr__(self) -> str:
        return f"<RuleSet: {self.exact} exact, {self.refused} refused, {self.disabled} disabled>"

    def _from_cache(self, cache: Cache, texts: list[tuple[bytes, str]]) -> bool:
        """Takes what a cache knows of these texts, if the lists that they name are still the same."""
        found = cache.get("rules", key_of(self._facts))
        if found is None:
            return False
        known = Texts(found)
        if any(digest_of(path) != digest for path, digest in known.lists.items()):
            return False
        self._facts.append(sorted(known.lists.items()))
        self._texts, self._unread, self._sources = known, True, texts
        self.refusals, self.disabled, self.files = known.refusals, known.disabled, [file for _, file in texts]
        return True

    def _read(self, texts: list[tuple[bytes, str]]) -> None:
        self._sources, self.files = texts, [file for _, file in texts]
        for text, file in texts:
            self._add(text, file)

    def _add(self, text: bytes, file: str) -> None:
        for source in rule_texts(text.decode("latin-1"), file):
            if source.disabled and not self._include_disabled:
                self.disabled += 1
                continue
            result = self._planner.plan(source)
            if isinstance(result, Refusal):
                self.refusals.append(result)
            else:
                self._admit(result)

    def _admit(self, plan: RulePlan) -> None:
        """A rule with the gid and sid of another replaces it if its revision is higher, and is refused otherwise."""
        key = plan.gid, plan.sid
        at = self._index.get(key)
        if at is None:
            self._index[key] = plan.order = len(self.plans)
            self.plans.append(plan)
            return
        other = self.plans[at]
        kept, gone = (plan, other) if plan.rev > other.rev else (other, plan)
        kept.order = at
        self.plans[at] = kept
        self.refusals.append(Refusal(gone.place, gone.sid, "sid", f"the rule at {kept.place} has the same gid and sid"
                                     + (" and a higher rev" if kept is plan else ""), malformed=kept is other))


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A compiled form, in memory that databases borrow: several of them take it once."""
    names: Sequence[str]
    sets: Sequence[Any]
    blob: memoryview

    def open(self) -> Database:
        from fastpath.dataplane.match.database import Database
        return Database(self.blob, names=self.names, sets=self.sets)

    def keep(self, cache: Cache, key: bytes) -> None:
        cache.put("blob", key, [msgspec.msgpack.encode((self.names, self.sets)), self.blob])

    @classmethod
    def kept(cls, cache: Cache, key: bytes) -> Self | None:
        """What a cache has; ValueError where that is no such thing."""
        found = cache.get("blob", key)
        if found is None:
            return None
        names, saved = msgspec.msgpack.decode(found[0])
        return cls(names, saved, found[1])


def _compile(rules: RuleSet, event_codes: Mapping[str, int], options: Mapping[str, Any]) -> _Compiled:
    from .compile import compile_blob
    blob, names, saved = compile_blob(rules.plans, event_codes, options)
    lent = mmap.mmap(-1, len(blob))         # aligned, as a database wants what it borrows
    lent.write(blob)
    return _Compiled(names, saved, memoryview(lent).toreadonly())


def _named(variables: Mapping[str, str] | None) -> dict[str, str]:
    """Variables by their names without the dollar."""
    if variables is not None and not isinstance(variables, Mapping):
        raise TypeError(f"variables must map names to texts, not be {type(variables).__name__}")
    return {name.removeprefix("$"): value for name, value in (variables or {}).items()}


def _files(paths: Paths) -> list[Path]:
    """The files that paths name. A folder gives its *.rules, a glob what it matches, both sorted."""
    if isinstance(paths, bytes) or not isinstance(paths, (str, Path, Iterable)):
        raise TypeError(f"paths must be a path or several of them, not {type(paths).__name__}")
    out: list[Path] = []
    for path in [paths] if isinstance(paths, (str, Path)) else paths:
        given = Path(path)
        if given.is_dir():
            found = sorted(each for each in given.rglob("*.rules") if each.is_file())
        elif given.exists():
            found = [given]
        else:
            found = sorted(Path(each) for each in glob.glob(str(path), recursive=True) if Path(each).is_file())
        if not found:
            raise FileNotFoundError(f"no rules at {path}")
        out += found
    return out
