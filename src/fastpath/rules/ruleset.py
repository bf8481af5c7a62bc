"""A rule set: the plans of the rules that are honoured and the refusals of those that are not."""
from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from .lexer import rule_texts
from .plan import Refusal, RulePlan
from .planner import Planner
from .reputation import Reputations
from .stock import STOCK_CLASSIFICATIONS, STOCK_REFERENCES, STOCK_VARIABLES
from .variables import Groups

if TYPE_CHECKING:
    from fastpath.dataplane.match.prefilter import Database

Paths = str | Path | Iterable[str | Path]


class RuleSet:
    """Rules, read.

    plans: those that are honoured, in order of loading. refusals: the others, each with its place and reason.
    rules, exact, refused, malformed, disabled: how many; rules = exact + refused, malformed ones are among the refused,
    disabled ones (behind a #) are not counted in rules unless they were asked for.
    """

    def __init__(self, *, variables: Mapping[str, str] | None = None, classifications: Mapping[str, tuple[str,
        int]] | None = None,
                 references: Mapping[str, str] | None = None, event_names: Iterable[str] | None = None,
                 reputations: Reputations | None = None):
        self.plans: list[RulePlan] = []
        self.refusals: list[Refusal] = []
        self.disabled = 0
        self.files: list[str] = []
        self.classifications = dict(STOCK_CLASSIFICATIONS if classifications is None else classifications)
        self.references = dict(STOCK_REFERENCES if references is None else references)
        self.variables = {**STOCK_VARIABLES, **{name.removeprefix("$"): str(value) for name, value in (variables or {}).items()}}
        self._groups = Groups(self.variables)
        self._planner = Planner(self._groups, None if event_names is None else frozenset(event_names),
                                reputations)
        self._index: dict[tuple[int, int], int] = {}

    @classmethod
    def load(cls, paths: Paths, *, variables: Mapping[str, str] | None = None, classifications: Mapping[str, tuple[str,
        int]] | None = None,
             references: Mapping[str, str] | None = None, event_names: Iterable[str] | None = None,
             reputations: Reputations | None = None, include_disabled: bool = False) -> Self:
        """Reads files, folders (their *.rules, sorted) and globs, in the order given.

        variables: address and port groups by name, over Suricata's stock ones. classifications: name -> (description,
        priority); references: system -> prefix; both stock if not given. event_names: full names of the events that
        decode-event may name. reputations: what iprep asks. include_disabled: rules behind a # are loaded too. Raises
        FileNotFoundError for a path that names nothing. What is wrong with a rule never raises: it is a refusal.
        """
        rules = cls(variables=variables, classifications=classifications, references=references, event_names=event_names,
                    reputations=reputations)
        for path in _files(paths):
            rules._add(path.read_bytes().decode("latin-1"), str(path), include_disabled)
        return rules

    @classmethod
    def parse(cls, text: str | bytes, *, file: str = "<rules>", variables: Mapping[str, str] | None = None,
              classifications: Mapping[str, tuple[str, int]] | None = None, references: Mapping[str, str] | None = None,
              event_names: Iterable[str] | None = None, reputations: Reputations | None = None,
              include_disabled: bool = False) -> Self:
        """Reads rules from a text; `file` is what places name. The rest is as in load()."""
        rules = cls(variables=variables, classifications=classifications, references=references, event_names=event_names,
                    reputations=reputations)
        raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
        rules._add(raw.decode("latin-1"), file, include_disabled)
        return rules

    @property
    def exact(self) -> int:
        return len(self.plans)

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
        from .thresholds import apply_thresholds, load_thresholds
        apply_thresholds(self.plans, load_thresholds(path, self._groups))

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
        """The compiled form for the data plane. event_codes: number of each event by full name."""
        from .compile import compile_rules
        priorities = {name: priority for name, (_, priority) in self.classifications.items()}
        return compile_rules(self.plans, dict(event_codes or {}), {"priorities": priorities} | options)

    def __len__(self) -> int:
        return len(self.plans)

    def __repr__(self) -> str:
        return f"<RuleSet: {self.exact} exact, {self.refused} refused, {self.disabled} disabled>"

    def _add(self, text: str, file: str, include_disabled: bool) -> None:
        self.files.append(file)
        for source in rule_texts(text, file):
            if source.disabled and not include_disabled:
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


def _files(paths: Paths) -> list[Path]:
    """The files that paths name. A folder gives its *.rules, a glob what it matches, both sorted."""
    out: list[Path] = []
    for path in [paths] if isinstance(paths, (str, Path)) else list(paths):
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
