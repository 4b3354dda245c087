"""From words to case folders with a peer's weights: organs, CT, checks, findings, report.

What fails a check is drawn again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from prompts import CaseRequest, Reading
from synth.case import finished, library
from synth.case.attempts import each
from synth.case.doors import parser_options, read_prompt, reading_of
from synth.case.draft import Draft, RejectedError
from synth.case.order import Order
from synth.case.plan import PeerPlan, case_name
from synth.case.weights_folder import Weights
from synth.draw.generated import drawn_until
from synth.errors import InputError
from synth.peers import masks, sampling
from synth.peers.checks import check_peer
from synth.peers.maisi import NAME, Maisi
from synth.peers.masks import Organs
from synth.progress import Progress
from synth.provenance import command_line, sha256_of_file
from synth.report.style import Style, style_options
from synth.seeding import derive
from synth.volumes import nifti
from synth.volumes.types import Case, LabelMap, Volume

DOOR = "insert"  # whose findings are drawn: they are put into what the peer drew
ATTEMPTS = 4  # draws of a case: each takes all steps
Masks = Literal["organs", "ours", "none"]
Size = tuple[int, int, int]
Spacing = tuple[float, float, float]

_MULTIPLE = 32  # voxels: the latent has a quarter, which the U-Net halves three times
_SMALLEST_MM = 256.0  # of the field from right to left and from front to back
_MOST_VOXELS = 768
_USUAL_SIZE: Size = (512, 512, 128)
_USUAL_SPACING: dict[str, Spacing] = {
    "chest": (0.684, 0.684, 2.422),
    "abdomen": (0.723, 0.723, 1.182),
    "head_neck": (0.645, 0.645, 2.219),
}  # mm, by region, as MAISI's authors recommend
_ELSE: Spacing = (0.781, 0.781, 2.981)
_LEARNED_MM = ((0.5, 3.0), (0.5, 3.0), (0.5, 5.0))
_COARSE_MM = 4.0  # spacing from which organs are drawn at 4 mm too
_OF_PATIENT = ("region", "phase", "sex", "age", "habitus", "extent")
_BY_OUR_ORGANS = ("region", "habitus")


@dataclass(frozen=True)
class PeerOrder:
    """Cases of one request from one peer. organs: a label map of the user's, on the grid that is drawn."""

    peer: Maisi
    request: CaseRequest
    seed: int
    size: Size
    spacing: Spacing
    steps: int
    kind: Masks
    organs: Organs | None = None
    organ_ids: str | None = None
    style: Style = "structured"

    @cached_property
    def words(self) -> dict[str, tuple[str, ...]]:
        """Which words of the request reached whom: the peer, the organs that we draw, the findings, nobody."""
        said = [name for name in _OF_PATIENT if getattr(self.request, name) is not None]
        shown = [f"{name}: {getattr(self.request, name)}" for name in said]
        ours = [w for n, w in zip(said, shown, strict=True) if self.kind == "ours" and n in _BY_OUR_ORGANS]
        findings = [f"{f.organ} {f.kind}" for f in self.request.findings]
        told = {"organs": ours, "findings": findings, "not read": [w for w in shown if w not in ours]}
        return {to: tuple(words) for to, words in told.items() if words}

    @cached_property
    def anatomies(self) -> Order:
        """Ours, that organs are drawn by."""
        request = self.request.model_copy(update={"findings": (), "targets": ()})
        weights = Weights.covering(request.region)
        if weights.region.organs:
            raise InputError(
                f"'{request.prompt}' with --masks ours: MAISI is given organs of chest or abdomen; say one of "
                "them, or give --organs"
            )
        coarse = min(self.spacing) >= _COARSE_MM
        return Order(request, weights, self.seed, _COARSE_MM if coarse else None)

    def plan(self, index: int, attempt: int) -> PeerPlan:
        """Of the index-th case."""
        case = case_name(index)
        return PeerPlan(
            case=case,
            seed=self.seed,
            attempt=attempt,
            request=self.request,
            reading=reading_of(self.request.prompt, DOOR),
            refine_seed=derive(self.seed, case, "refine", attempt),
            lesion_seed=derive(self.seed, case, "lesions", attempt),
            style=self.style,
            peer=NAME,
            variant=self.peer.variant,
            weights=self.peer.hashes(),
            size=self.size,
            spacing_mm=self.spacing,
            steps=self.steps,
            masks=self.kind,
            organs_sha256=sha256_of_file(self.organs.inputs["organs"]) if self.organs else None,
            noise_seed=derive(self.seed, case, "peer", attempt),
            words=self.words,
        )

    def require(self) -> None:
        """Raise InputError for what the peer cannot draw of it."""
        _require_grid(self.size, self.spacing)
        if (self.kind == "organs") != (self.organs is not None):
            goes = "with" if self.kind == "organs" else "without"
            raise InputError(f"--masks {self.kind}: goes {goes} a label map --organs")
        if self.kind != "none" and not self.peer.takes_masks:
            folder = self.peer.folder
            raise InputError(f"--model {folder}: no ControlNet, which organs need; add its file, or say --masks none")
        if self.kind == "none" and self.request.findings:
            wanted = self.request.findings[0]
            raise InputError(
                f"'{wanted.organ} {wanted.kind}' with --masks none: without organs there is no place for it; use "
                "--masks ours or --organs"
            )
        if self.kind == "ours":
            self.anatomies.weights.files()  # all there, or refused before anything is drawn

    def command(self, index: int) -> str:
        """The command that makes the index-th case again."""
        options: dict[str, object] = {"model": self.peer.folder, "seed": self.seed, "start": index}
        if self.organs is None:
            options |= {"size": ",".join(map(str, self.size)), "spacing": f"{self.spacing[0]:g}"}
            options |= {"slice_mm": f"{self.spacing[2]:g}"}
        else:
            options |= {"organs": self.organs.inputs["organs"], "organ_ids": self.organ_ids}
        options |= {"steps": self.steps, "masks": self.kind}
        options |= style_options(self.style) | parser_options(self.request.prompt, DOOR)
        return command_line("generate", self.request.prompt, **options)


def generate(
    prompt: str | Reading,
    model: Path,
    *,
    count: int = 1,
    seed: int = 0,
    start: int = 0,
    out: Path = Path("out"),
    size: Size | None = None,
    spacing: float | None = None,
    slice_mm: float | None = None,
    steps: int | None = None,
    kind: Masks | None = None,
    organs: Path | None = None,
    organ_ids: Mapping[int, str] | None = None,
    style: Style = "structured",
    progress: Progress | None = None,
) -> list[Path]:
    """Cases start .. start + count - 1 with the weights of `model`; their folders. A complete one is left as it is.

    size: voxels right to left, back to front, feet to head; spacing: mm in a slice, slice_mm: of slices; None: as
    recommended for the region, slices as thick as `spacing` where that is said alone. steps: None: as released.
    kind: whence the organs are; None: `organs` where a label map is given, else ours, else none.

    Raises InputError before anything is drawn for what cannot be, RejectedError where every draw fails a check.
    """
    request = read_prompt(prompt, DOOR).request
    if organs is not None:
        if size is not None or spacing is not None or slice_mm is not None:
            raise InputError(f"--organs {organs}: says its own grid; leave --size, --spacing and --slice-mm out")
        given = masks.read_organs(organs, organ_ids)
        size, mm = _size_of(given), _spacing_of(given)
    else:
        given, mm = None, _spacing(request, spacing, slice_mm)
    peer = Maisi.open(model)
    order = PeerOrder(
        peer=peer,
        request=request,
        seed=seed,
        size=size or _USUAL_SIZE,
        spacing=mm,
        steps=steps or sampling.STEPS[peer.variant],
        kind=kind or ("organs" if given else "ours" if peer.takes_masks else "none"),
        organs=given,
        organ_ids=nifti.written_ids(organ_ids),
        style=style,
    )
    order.require()
    shown = progress or Progress(quiet=True)
    return each(range(start, start + count), lambda index: [_generated(order, index, out, shown)], out)


def _spacing(request: CaseRequest, in_slice: float | None, slice_mm: float | None) -> Spacing:
    usual = _USUAL_SPACING.get(str(request.region), _ELSE)
    x = in_slice or usual[0]
    return x, x, slice_mm or in_slice or usual[2]


def _require_grid(size: Size, spacing: Spacing) -> None:
    """Raise InputError for what the networks cannot draw, or MAISI was not made for."""
    told = "x".join(map(str, size))
    if any(n % _MULTIPLE or not 0 < n <= _MOST_VOXELS for n in size):
        raise InputError(
            f"size {told}: MAISI draws multiples of {_MULTIPLE} voxels up to {_MOST_VOXELS} along each axis"
        )
    fields = [n * mm for n, mm in zip(size, spacing, strict=True)]
    if min(fields[:2]) < _SMALLEST_MM - 0.5:
        raise InputError(
            f"field of {fields[0]:.0f} x {fields[1]:.0f} mm: MAISI draws whole bodies in {_SMALLEST_MM:.0f} mm or "
            "more; ask for more voxels with --size, or larger ones with --spacing"
        )


def _size_of(organs: Organs) -> Size:
    x, y, z = organs.ids.shape
    return x, y, z


def _spacing_of(organs: Organs) -> Spacing:
    x, y, z = (round(float(mm), 6) for mm in np.diag(organs.labels.affine)[:3])
    return x, y, z


def _generated(order: PeerOrder, index: int, out: Path, progress: Progress) -> Path:
    folder, plans = out / case_name(index), [order.plan(index, attempt) for attempt in range(ATTEMPTS)]
    if finished.one_of(folder, plans) is None:
        draft = _drawn(order, index, progress)
        finished.finish_draft(folder, draft, order.command(index), progress)
    return folder


def _drawn(order: PeerOrder, index: int, progress: Progress) -> Draft:
    """The first draw that passes. Raises RejectedError, with a remedy for weights: no patient is at fault."""
    try:
        return drawn_until(lambda number: draft_peer(order, index, number, progress), index, progress, ATTEMPTS)
    except RejectedError as error:
        raise RejectedError(
            f"{case_name(index)}: drawn {ATTEMPTS} times with {order.peer.folder} and rejected, at last because "
            f"{error.rejections[-1].reason}; try another --seed, more --steps or other weights",
            error.rejections,
        ) from error


def draft_peer(order: PeerOrder, index: int, attempt: int, progress: Progress) -> Draft:
    """What the peer draws for a plan, and its checks. Organs of ours that fail theirs are thrown away before."""
    plan, organs = order.plan(index, attempt), order.organs
    if order.kind == "ours":
        organs, drawn = masks.drawn_organs(order.anatomies, index, attempt, order.size, order.spacing, progress)
        if not drawn.passed:
            return replace(drawn, plan=plan, refusal=f"its organs, as we drew them: {drawn.why_not()}")
    told = sampling.Conditioning(
        order.size, order.spacing, plan.noise_seed, order.steps, None if organs is None else organs.ids
    )
    with progress.step(f"{plan.case}: {NAME}", order.steps) as step:
        hu = sampling.draw(order.peer, told, library.device(), step.advance)
    case = _case(hu, organs, order)
    checks = (*(organs.checks if organs else ()), *check_peer(case, sampling.HU[1]))
    files = {**order.peer.paths(), **(organs.weights if organs else {})}
    inputs = organs.inputs if organs else {}
    return Draft(plan, case, checks, inputs, more={"peer": _told(order)}, drawn_by=files)


def _case(hu: np.ndarray, organs: Organs | None, order: PeerOrder) -> Case:
    affine = masks.grid(order.size, order.spacing) if organs is None else organs.labels.affine
    nothing = LabelMap(np.zeros(hu.shape, np.uint8), affine, {})
    ct = Volume(hu, affine)
    return Case(ct, nothing, nothing) if organs is None else Case(ct, organs.labels, organs.lesions)


def _told(order: PeerOrder) -> dict[str, Any]:
    """`peer` of the manifest."""
    beyond = [
        f"{axis} {mm:g} mm"
        for axis, mm, (low, high) in zip("xyz", order.spacing, _LEARNED_MM, strict=True)
        if not low <= mm <= high
    ]
    return {
        "name": NAME,
        "variant": order.peer.variant,
        "licence": order.peer.licence or "not recorded; see the folder that the weights came in",
        "steps": order.steps,
        "masks": order.kind,
        "words": order.words,
        "hu": list(sampling.HU),
        **({"beyond what it learned": beyond} if beyond else {}),
    }
