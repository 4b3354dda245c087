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
from synth.peers import drawn_masks, mask_model, masks, sampling
from synth.peers.checks import check_peer
from synth.peers.maisi import NAME, Maisi
from synth.peers.masks import Organs
from synth.peers.sizes import Sizes
from synth.peers.sizes import told as told_sizes
from synth.progress import Progress
from synth.provenance import command_line, sha256_of_file
from synth.report.style import Style, style_options
from synth.seeding import derive, numpy_rng
from synth.volumes import nifti
from synth.volumes.types import Case, LabelMap, Volume

DOOR = "insert"  # whose findings are drawn: they are put into what the peer drew
ATTEMPTS = 4  # draws of a case: each takes all steps
Masks = Literal["organs", "ours", "drawn", "none"]
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
_ROUNDED_MM = 0.5
_FEW = 50  # steps of the mask model
_WATER_HU = 0
_COARSE_MM = 4.0  # spacing from which organs are drawn at 4 mm too
_OF_PATIENT = ("region", "phase", "sex", "age", "habitus", "extent")
_BY_ORGANS: dict[Masks, tuple[str, ...]] = {"ours": ("region", "habitus"), "drawn": ("region",)}


@dataclass(frozen=True)
class PeerOrder:
    """Cases of one request from one peer. organs: a label map of the user's, on the grid that is drawn.

    mask_steps: of its mask model, None: as released; slow: whether that may run on a CPU.
    """

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
    mask_steps: int | None = None
    slow: bool = False

    @cached_property
    def words(self) -> dict[str, tuple[str, ...]]:
        """Which words of the request reached whom: the organs that are drawn, the findings, nobody."""
        said = [name for name in _OF_PATIENT if getattr(self.request, name) is not None]
        shown = [f"{name}: {getattr(self.request, name)}" for name in said]
        reach = _BY_ORGANS.get(self.kind, ())
        organs = [w for n, w in zip(said, shown, strict=True) if n in reach]
        findings = [f"{f.organ} {f.kind}" for f in self.request.findings]
        told = {"organs": organs, "findings": findings, "not read": [w for w in shown if w not in organs]}
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

    @cached_property
    def sizes(self) -> Sizes:
        """Whence the sizes of organs are that its mask model is told."""
        return Sizes.of(self.peer.folder)

    @property
    def draws_masks(self) -> bool:
        """Whether its mask model draws the organs."""
        return self.kind == "drawn"

    def plan(self, index: int, attempt: int) -> PeerPlan:
        """Of the index-th case."""
        case = case_name(index)
        of_masks: dict[str, Any] = {}
        if self.draws_masks:
            of_masks = {
                "mask_seed": derive(self.seed, case, "masks", attempt),
                "mask_steps": self.mask_steps or sampling.TRAIN_STEPS,
                "mask_sizes": self.sizes.draw(numpy_rng(derive(self.seed, case, "mask sizes", attempt))),
            }
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
            weights=self.peer.hashes(masks=self.draws_masks),
            size=self.size,
            spacing_mm=self.spacing,
            steps=self.steps,
            masks=self.kind,
            organs_sha256=sha256_of_file(self.organs.inputs["organs"]) if self.organs else None,
            noise_seed=derive(self.seed, case, "peer", attempt),
            words=self.words,
            **of_masks,
        )

    def require(self) -> None:
        """Raise InputError for what the peer cannot draw of it."""
        _require_grid(self.size, self.spacing)
        if (self.kind == "organs") != (self.organs is not None):
            goes = "with" if self.kind == "organs" else "without"
            raise InputError(f"--masks {self.kind}: goes {goes} a label map --organs")
        if not self.draws_masks and (self.slow or self.mask_steps is not None):
            option = "--mask-steps" if self.mask_steps is not None else "--slow"
            raise InputError(f"{option}: is of MAISI's mask model; say --masks drawn with it, or leave it out")
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
        if self.draws_masks:
            self._require_mask_model()

    def _require_mask_model(self) -> None:
        """Raise InputError for what its mask model cannot draw."""
        self.peer.require_masks()
        self.sizes  # noqa: B018  # a table that is none is refused before anything is drawn
        if self.request.region not in drawn_masks.OF_REGION:
            known = ", ".join(region.replace("_", " and ") for region in drawn_masks.OF_REGION)
            raise InputError(
                f"'{self.request.prompt}' with --masks drawn: MAISI's mask model is told no region, but sizes of "
                f"organs of the abdomen; say one of {known}, or give --organs"
            )
        long, field = self.size[2] * self.spacing[2], mask_model.field_mm()
        if long > field + _ROUNDED_MM:
            raise InputError(
                f"field of {long:.0f} mm from feet to head with --masks drawn: MAISI's mask model draws {field:.0f} "
                "mm; ask for fewer voxels with --size, or thinner slices with --slice-mm"
            )
        if library.device().type == "cpu" and not self.slow:
            minutes = mask_model.minutes(self.mask_steps or sampling.TRAIN_STEPS)
            quicker = "" if self.mask_steps else f" ({mask_model.minutes(_FEW)} with --mask-steps {_FEW})"
            raise InputError(
                f"--masks drawn on a CPU: a mask takes about {minutes} minutes of a core{quicker}; wait for it with "
                "--slow, run on a GPU, or say --masks ours"
            )

    def command(self, index: int) -> str:
        """The command that makes the index-th case again."""
        options: dict[str, object] = {"model": self.peer.folder, "seed": self.seed, "start": index}
        if self.organs is None:
            options |= {"size": ",".join(map(str, self.size)), "spacing": f"{self.spacing[0]:g}"}
            options |= {"slice_mm": f"{self.spacing[2]:g}"}
        else:
            options |= {"organs": self.organs.inputs["organs"], "organ_ids": self.organ_ids}
        options |= {"steps": self.steps, "masks": self.kind, "mask_steps": self.mask_steps, "slow": self.slow or None}
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
    mask_steps: int | None = None,
    slow: bool = False,
    style: Style = "structured",
    progress: Progress | None = None,
) -> list[Path]:
    """Cases start .. start + count - 1 with the weights of `model`; their folders. A complete one is left as it is.

    size: voxels right to left, back to front, feet to head; spacing: mm in a slice, slice_mm: of slices; None: as
    recommended for the region, slices as thick as `spacing` where that is said alone. steps: None: as released.
    kind: whence the organs are; None: `organs` where a label map is given, else ours, else none. mask_steps: of the
    mask model that draws those of kind `drawn`; slow: draw them on a CPU too.

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
        mask_steps=mask_steps,
        slow=slow,
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
    """What the peer draws for a plan, and its checks. Organs that were drawn and fail theirs are thrown away before."""
    plan, organs = order.plan(index, attempt), order.organs
    if order.kind == "ours":
        organs, drawn = masks.drawn_organs(order.anatomies, index, attempt, order.size, order.spacing, progress)
        if not drawn.passed:
            return replace(drawn, plan=plan, refusal=f"its organs, as we drew them: {drawn.why_not()}")
    elif order.draws_masks:
        organs = drawn_masks.drawn_by_peer(order.peer, plan, library.device(), progress)
        shown = Draft(plan, _case(_as_told(organs.ids), organs, order), organs.checks)
        if not shown.passed:
            return replace(shown, refusal=f"its organs, as MAISI's mask model drew them: {shown.why_not()}")
    told = sampling.Conditioning(
        order.size, order.spacing, plan.noise_seed, order.steps, None if organs is None else organs.ids
    )
    with progress.step(f"{plan.case}: {NAME}", order.steps) as step:
        hu = sampling.draw(order.peer, told, library.device(), step.advance)
    case = _case(hu, organs, order)
    checks = (*(organs.checks if organs else ()), *check_peer(case, sampling.HU[1]))
    files = {**order.peer.paths(masks=order.draws_masks), **(organs.weights if organs else {})}
    inputs = organs.inputs if organs else {}
    return Draft(plan, case, checks, inputs, more={"peer": _told(order, plan)}, drawn_by=files)


def _as_told(ids: np.ndarray) -> np.ndarray:
    """HU (X, Y, Z) of organs that are thrown away before a CT is drawn of them."""
    return np.where(ids > 0, _WATER_HU, sampling.HU[0]).astype(np.int16)


def _case(hu: np.ndarray, organs: Organs | None, order: PeerOrder) -> Case:
    affine = masks.grid(order.size, order.spacing) if organs is None else organs.labels.affine
    nothing = LabelMap(np.zeros(hu.shape, np.uint8), affine, {})
    ct = Volume(hu, affine)
    return Case(ct, nothing, nothing) if organs is None else Case(ct, organs.labels, organs.lesions)


def _told(order: PeerOrder, plan: PeerPlan) -> dict[str, Any]:
    """`peer` of the manifest."""
    by_masks: dict[str, Any] = {}
    if order.draws_masks:
        table = order.sizes.file
        of = {"table": table.name, "table_sha256": sha256_of_file(table)} if table else {"table": None}
        by_masks = {"mask_model": {"steps": plan.mask_steps, "sizes": told_sizes(plan.mask_sizes), **of}}
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
        **by_masks,
        "words": order.words,
        "hu": list(sampling.HU),
        **({"beyond what it learned": beyond} if beyond else {}),
    }
