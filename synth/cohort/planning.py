"""The plan of a cohort: what each case asks for and which host it goes into, by index, from the recipe alone."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from prompts import CaseRequest, sampler, write
from prompts.vocabulary import HOME_REGION, Region
from synth.case.doors import ask
from synth.case.plan import case_name, check_request, check_spacing
from synth.case.weights_folder import Weights
from synth.cohort.gates import gate_of
from synth.cohort.hosts import HostFiles
from synth.cohort.quotas import assign, bounds
from synth.cohort.recipe import UNSAID, Group, Recipe
from synth.cohort.requests import finding_of, findings_of, matches, of_patient
from synth.errors import InputError
from synth.lesions.extent_types import extent_type_of
from synth.lesions.lesion_types import type_of
from synth.lesions.sibling import Twin
from synth.scanner import Scanner
from synth.seeding import derive, numpy_rng
from synth.xray.settings import require_nanodrr

HEALTHY, TWIN, SCANNER = "healthy", "twin", "scanner"
_NUMBERS = {"size_mm", "count"}


@dataclass(frozen=True)
class PlannedCase:
    """One case before any drawing. `group` is what it counts for; `asked` the value of each quota that it fills.

    `twin`: the name of the case beside it that is its host without lesions, None where it has none.
    """

    index: int
    name: str
    group: str
    request: CaseRequest
    hosts: tuple[str, ...] = ()  # by attempt; none for a generated case
    asked: Mapping[str, str] = field(default_factory=dict)
    preview: bool = True
    twin: str | None = None
    scanner: Scanner | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The case folders that it is, its own first."""
        return (self.name,) if self.twin is None else (self.name, self.twin)

    def as_twin(self) -> PlannedCase:
        """The twin as a case that counts for itself."""
        assert self.twin is not None
        request = self.request.model_copy(update={"findings": (), "prompt": ""})
        asked = {"group": TWIN}
        return PlannedCase(self.index, self.twin, TWIN, request, self.hosts, asked, preview=False)


class CohortPlan:
    """All cases of a recipe, each by its index. The same recipe and host names give the same plan anywhere.

    Raises InputError where the recipe asks for what cannot be made, or no host matches its patients.
    """

    def __init__(self, recipe: Recipe, hosts: Mapping[str, HostFiles]) -> None:
        self.recipe, self.hosts = recipe, hosts
        self.gate = gate_of(recipe)
        self._check()

    def __len__(self) -> int:
        return self.recipe.number

    def __iter__(self) -> Iterator[PlannedCase]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> PlannedCase:
        if not 0 <= index < len(self):
            raise IndexError(index)
        group, asked = self._groups[index], {"group": self._groups[index], **self._asked(index)}
        name = case_name(index)
        request = self._request(index, group, asked)
        twin = f"{name}_{Twin().suffix}" if index in self._with_twin else None
        hosts, preview = self._hosts_of(index), self._has_preview(index)
        return PlannedCase(index, name, group, request, hosts, asked, preview, twin, self._scanner(asked))

    def group(self, index: int) -> str:
        """What a case counts for, without planning the rest of it."""
        return self._groups[index]

    def names(self, index: int) -> tuple[str, ...]:
        """The case folders of an index, without planning them."""
        name = case_name(index)
        return (name, f"{name}_{Twin().suffix}") if index in self._with_twin else (name,)

    def _has_preview(self, index: int) -> bool:
        """The share of the recipe, evenly spaced, and the first case of each group, which the data card shows."""
        share = self.recipe.previews
        return share > 0 and (self._members[index] == 0 or int((index + 1) * share) > int(index * share))

    @property
    def quotas(self) -> dict[str, dict[str, int]]:
        """Quota -> value -> number of cases asked for. Quotas of a group are named `group: field`."""
        twins = {TWIN: len(self._with_twin)} if self._with_twin else {}
        table: dict[str, dict[str, int]] = {"group": _counted(self._groups) | twins}
        for name, values in self._patients.items():
            table[name] = _counted(values)
        if self._scanners:
            table[SCANNER] = _counted(self._scanners)
        for group, fields in self._fields.items():
            for name, values in fields.items():
                table[f"{group}: {name}"] = _counted(values)
        return table

    def _rng(self, *names: object) -> np.random.Generator:
        return numpy_rng(derive(self.recipe.seed, "cohort", *names))

    @cached_property
    def _groups(self) -> list[str]:
        """What each case counts for: healthy, a finding, a prompt or a set."""
        recipe = self.recipe
        if recipe.findings:
            ill = {group.name: group.share for group in recipe.findings}
        else:
            ill = recipe.prompts or {str(recipe.draw): 1.0}
        total = sum(ill.values())
        weights = {HEALTHY: recipe.healthy, **{k: (1 - recipe.healthy) * w / total for k, w in ill.items()}}
        return assign(recipe.number, {k: w for k, w in weights.items() if w > 0}, self._rng("group"))

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """What generated cases are drawn of; InputError for what cannot be."""
        firsts = sorted({self._groups.index(group) for group in set(self._groups)})
        requests = [self[index].request for index in firsts]
        return tuple(sorted({check_request(r, self.weights_for(r).region) for r in requests}, reverse=True))

    def weights_for(self, request: CaseRequest) -> Weights:
        """What a generated case is drawn with; InputError where the recipe's weights draw another region."""
        return Weights.covering(request.region, self.recipe.weights)

    @cached_property
    def weights(self) -> tuple[Weights, ...]:
        """All that its generated cases are drawn with."""
        firsts = sorted({self._groups.index(group) for group in set(self._groups)})
        found = {w.folder: w for w in (self.weights_for(self[index].request) for index in firsts)}
        return tuple(found.values())

    @property
    def spacings(self) -> tuple[float, ...]:
        """mm of generated cases, finest first."""
        said = self.recipe.spacing_mm
        return (said,) if said else tuple(sorted({weights.region.spacing_mm for weights in self.weights}))

    @cached_property
    def _with_twin(self) -> frozenset[int]:
        """The cases that have a twin: the recipe's share of those that are not healthy."""
        ill = [index for index, group in enumerate(self._groups) if group != HEALTHY]
        drawn = assign(len(ill), {"yes": self.recipe.twins, "no": 1 - self.recipe.twins}, self._rng("twins"))
        return frozenset(index for index, has in zip(ill, drawn, strict=True) if has == "yes")

    @cached_property
    def _of_name(self) -> dict[str, Group]:
        return {group.name: group for group in self.recipe.findings or ()}

    @cached_property
    def _members(self) -> list[int]:
        """How many cases of its own group come before each case."""
        seen: dict[str, int] = {}
        members = []
        for group in self._groups:
            members.append(seen.get(group, 0))
            seen[group] = members[-1] + 1
        return members

    @cached_property
    def _patients(self) -> dict[str, list[str]]:
        """Quota of the patients -> value of each case."""
        quotas = self.recipe.patients.quotas()
        return {name: assign(len(self), weights, self._rng(name)) for name, weights in quotas.items()}

    @cached_property
    def _scanners(self) -> list[str]:
        """Name of the scanner of each case; empty where the recipe has none."""
        weights = {name: scanner.share for name, scanner in (self.recipe.scanners or {}).items()}
        return assign(len(self), weights, self._rng(SCANNER)) if weights else []

    def _scanner(self, asked: Mapping[str, str]) -> Scanner | None:
        name = asked.get(SCANNER)
        return self.recipe.scanners[name].named(name) if name and self.recipe.scanners else None

    @cached_property
    def _fields(self) -> dict[str, dict[str, list[str]]]:
        """Group -> field -> value of each of its members."""
        number = _counted(self._groups)
        return {
            group.name: {
                name: assign(number.get(group.name, 0), weights, self._rng(group.name, name))
                for name, weights in group.quotas().items()
            }
            for group in self.recipe.findings or ()
        }

    def _asked(self, index: int) -> dict[str, str]:
        group = self._groups[index]
        own = {f"{group}: {n}": v[self._members[index]] for n, v in self._fields.get(group, {}).items()}
        scanner = {SCANNER: self._scanners[index]} if self._scanners else {}
        return {name: values[index] for name, values in self._patients.items()} | scanner | own

    def _request(self, index: int, group: str, asked: Mapping[str, str]) -> CaseRequest:
        """What the case asks for, with the words that say it."""
        rng = random.Random(derive(self.recipe.seed, case_name(index), "request"))
        if group in self._fields:
            of = self._of_name[group]
            own = {name: asked[f"{group}: {name}"] for name in self._fields[group]}
            request = CaseRequest(region=self._region(of), findings=findings_of(of.organ, of.kind, own, rng))
        else:
            request = self._finding_free(group, rng)
        if self.recipe.hosts is None:
            request = of_patient(request, asked, rng)
        return request.model_copy(update={"prompt": write(request)})

    def _read(self, prompt: str) -> CaseRequest:
        """What a prompt asks for of what insertion, or generation, draws."""
        if self.recipe.hosts is not None:
            return ask(prompt, "insert").request
        return ask(prompt, "generate").case_request

    def _finding_free(self, group: str, rng: random.Random) -> CaseRequest:
        """The request of a prompt, a set or a healthy case, which has neither findings nor targets."""
        recipe = self.recipe
        if recipe.prompts:
            chosen = group if group != HEALTHY else rng.choices(list(recipe.prompts), list(recipe.prompts.values()))[0]
            request = self._read(chosen)
        elif recipe.findings and recipe.hosts is None:
            groups = recipe.findings
            request = CaseRequest(region=self._region(rng.choices(groups, [group.share for group in groups])[0]))
        else:
            request = sampler.draw(rng, name=recipe.draw) if recipe.draw else CaseRequest()
        return request.model_copy(update={"findings": (), "targets": ()}) if group == HEALTHY else request

    def _region(self, group: Group) -> Region | None:
        """What a generated case with a finding of a group shows: as the recipe says, else where its organ is."""
        return None if self.recipe.hosts is not None else self.recipe.region or HOME_REGION[group.organ]

    def _hosts_of(self, index: int) -> tuple[str, ...]:
        """Hosts by attempt: the first shared out evenly, then the others in random order, then round again."""
        if not self.hosts:
            return ()
        pool, attempts = self._pools[self._class(index)], self.recipe.attempts
        first = self._turns[index] % len(pool)
        order = self._rng(case_name(index), "hosts").permutation(len(pool) - 1)[: attempts - 1]
        names = [pool[first], *(pool[i + (i >= first)] for i in order)]
        return tuple(names[attempt % len(names)] for attempt in range(attempts))

    def _class(self, index: int) -> tuple[str, ...]:
        return tuple(values[index] for values in self._patients.values())

    @cached_property
    def _turns(self) -> list[int]:
        """How many cases of its own class of patients come before each case."""
        seen: dict[tuple[str, ...], int] = {}
        turns = []
        for index in range(len(self)):
            of = self._class(index)
            turns.append(seen.get(of, 0))
            seen[of] = turns[-1] + 1
        return turns

    @cached_property
    def _pools(self) -> dict[tuple[str, ...], list[str]]:
        """Class of patients -> the hosts that match it, in random order."""
        names = list(self.hosts)
        order = [names[i] for i in self._rng("hosts").permutation(len(names))]
        fields = list(self._patients)
        pools = {}
        for of in {self._class(index) for index in range(len(self))}:
            asked = dict(zip(fields, of, strict=True))
            pools[of] = [name for name in order if matches(self.hosts[name], asked)]
            if not pools[of]:
                said = ", ".join(f"{name} {value}" for name, value in asked.items())
                raise InputError(f"patients: no host of {len(names)} is {said}; see hosts.index, or ask for less")
        return pools

    def _check(self) -> None:
        """Ask of every distinct request, before anything is drawn, what drawing it would refuse."""
        recipe = self.recipe
        for group in recipe.findings or ():
            if extent_type_of(group.kind) is None:
                type_of(group.organ, group.kind)
            self._check_tables(group)
        for age in recipe.patients.age or ():
            if age != UNSAID:
                bounds(age, "patients.age")
        if recipe.radiographs is not None:
            require_nanodrr()
        if recipe.hosts is not None:
            for prompt in recipe.prompts or ():
                if not self._read(prompt).findings:
                    raise InputError(f"prompts: '{prompt}': no lesion to insert; say one, or use `healthy`")
            _ = self._pools
            return
        if recipe.draw and recipe.draw not in sampler.SETS:
            raise InputError(f"draw: '{recipe.draw}': say one of {', '.join(sampler.SETS)}")
        if recipe.twins and (bare := [prompt for prompt in recipe.prompts or () if not self._read(prompt).findings]):
            raise InputError(f"twins: '{bare[0]}': asks for no finding that a twin could be without; leave twins out")
        if recipe.twins and recipe.draw:
            raise InputError(f"twins: requests drawn from '{recipe.draw}' have no findings; leave twins out")
        _ = self.regions
        for spacing in self.spacings:
            check_spacing(spacing)
        coarsest = max(self.spacings)
        for name, scanner in (recipe.scanners or {}).items():
            if scanner.slice_mm is not None and scanner.slice_mm < coarsest:
                raise InputError(
                    f"scanners: {name}: slice_mm {scanner.slice_mm:g} is less than spacing_mm {coarsest:g}, "
                    "in which cases are drawn; ask for as much or more"
                )

    def _check_tables(self, group: Group) -> None:
        """Every value of every table, and every combination that the cases of the group have."""
        fields = self._fields[group.name]
        for name, weights in group.quotas().items():
            for value in weights:
                if name == "count" and value != UNSAID and not value.isdecimal():
                    raise InputError(f"findings: {group.name}: count '{value}': write a whole number")
                ends = {value} if name != "size_mm" or value == UNSAID else {f"{v:g}" for v in bounds(value, name)}
                for end in ends:
                    finding_of(group.organ, group.kind, {name: end}, random.Random(0))
        for values in set(zip(*fields.values(), strict=True)):
            finding_of(group.organ, group.kind, dict(zip(fields, values, strict=True)), random.Random(0))


def _counted(values: Sequence[str]) -> dict[str, int]:
    return {value: values.count(value) for value in dict.fromkeys(values)}
