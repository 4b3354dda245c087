"""What each network trains on: a task draws a batch from a seed and turns a batch into a loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F

from synth.data.dataset import (
    COARSE_MM,
    Jitter,
    Parts,
    PreparedPatient,
    fractions,
    jittered_alike,
    parts_of,
    pool,
    split_bands,
    swap_sides,
)
from synth.flow.losses import label_loss, velocity_loss
from synth.flow.schedule import draw_times, interpolate
from synth.models import intensity
from synth.models.condition import Condition, EncodedRequest, Known, known_mask_of, told_base, told_refine
from synth.models.denoiser import Denoiser
from synth.models.scaling import ct_to_network, detail_to_network, dose_to_network
from synth.models.text import TEXT_DIM, text_encoder
from synth.models.weights import load_model
from synth.regions import Region, shipped
from synth.regions.frame import BASE_SPACING_MM
from synth.regions.region import HEAD_NECK_CT, CtScale
from synth.training.config import TrainConfig
from synth.training.placed import PlacedScaffolds
from synth.training.requests import TextBank, draw_facts
from synth.training.shards import Shard, mean_over_processes

_PRIOR_FRAMES = 800
_ORGAN_SHARE = 0.7
_PRIOR_RIDGE = 0.02
_BODY_UNIT = -0.75  # a coarse voxel above this holds body


class TrainedTask(Protocol):
    """What a task says of the network that it trains."""

    @property
    def region(self) -> Region: ...
    @property
    def channels(self) -> int: ...
    @property
    def refine(self) -> bool: ...


@dataclass(frozen=True)
class Posed:
    """A patient under one jitter, on the frame at 8 mm: (2 + organs, X, Y, Z), and its scaffold (1 + organs, ..)."""

    subject: PreparedPatient
    jitter: Jitter
    volume: torch.Tensor
    scaffold: torch.Tensor | None


@dataclass(frozen=True)
class Sample:
    """One volume of a batch. Channels first, no batch axis; see Batch, and synth.models.condition for what is told.

    coarse: intensity units, with noise of SD `coarse_noise`; None for `base`. scaffold: at 8 mm, see told_base.
    """

    x0: torch.Tensor
    labels: torch.Tensor
    body: torch.Tensor
    facts: torch.Tensor
    text: str | None
    annotated: torch.Tensor
    spacing: torch.Tensor
    lower_mm: torch.Tensor
    known_mask: torch.Tensor
    seed: int
    coarse: torch.Tensor | None = None
    coarse_labels: torch.Tensor | None = None
    coarse_noise: float = 0.0
    scaffold: torch.Tensor | None = None


@dataclass(frozen=True)
class Batch:
    """x0 (B, C, X, Y, Z); labels (B, 1 + organs, ..) fractions on the grid that the label head reads;
    body (B, 1, X, Y, Z) share of body; the condition; a seed of each volume, of its time and noise."""

    x0: torch.Tensor
    labels: torch.Tensor
    body: torch.Tensor
    annotated: torch.Tensor
    condition: Condition
    seeds: tuple[int, ...]


def collate(samples: Sequence[Sample], encoder: str | None = None, scale: CtScale = HEAD_NECK_CT) -> Batch:
    """Stack samples of one shape, on the device of their volumes; `encoder`: of their text, see synth.models.text;
    `scale`: of the CT of what `base` draws."""
    x0 = torch.stack([s.x0 for s in samples])
    annotated = torch.stack([s.annotated for s in samples]).to(x0.device)
    batch = (x0, torch.stack([s.labels for s in samples]), torch.stack([s.body for s in samples]), annotated)
    return Batch(*batch, _told(samples, x0, annotated, encoder, scale).to(x0.device), tuple(s.seed for s in samples))


def _told(
    samples: Sequence[Sample], x0: torch.Tensor, annotated: torch.Tensor, encoder: str | None, scale: CtScale
) -> Condition:
    text = _encoded([s.text for s in samples], encoder, x0.device)
    asked = EncodedRequest(torch.stack([s.facts for s in samples]).to(x0.device), *text)
    lower_mm = torch.stack([s.lower_mm for s in samples]).to(x0.device)
    known = Known(x0, torch.stack([s.known_mask for s in samples]))
    scaffold = _stacked([s.scaffold for s in samples])
    coarse, coarse_labels = (_stacked([getattr(s, of) for s in samples]) for of in ("coarse", "coarse_labels"))
    if coarse is None or coarse_labels is None:
        return told_base(asked, lower_mm, annotated, known, scaffold, scale)
    spacing = torch.stack([s.spacing for s in samples]).to(x0.device)
    noise = [s.coarse_noise for s in samples]
    return told_refine(asked, spacing, lower_mm, annotated, known, coarse, coarse_labels, noise, scaffold)


def _encoded(
    texts: Sequence[str | None], encoder: str | None, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (B, L, D) and mask (B, L); the packaged encoder is not loaded where nothing is said."""
    if encoder is None and not any(texts):
        return torch.zeros(len(texts), 1, TEXT_DIM), torch.zeros(len(texts), 1, dtype=torch.bool)
    return text_encoder(encoder, device.type).padded(texts)


def _stacked(tensors: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    """None where there are none."""
    return None if tensors[0] is None else torch.stack([t for t in tensors if t is not None])


def batch_loss(
    model: torch.nn.Module, batch: Batch, config: TrainConfig
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Velocity loss on noisy volumes, label loss weighted to the clean end of time.

    Times and noise follow from the seeds of the volumes. What is logged stays on the device: reading it would wait.
    """
    device = next(model.parameters()).device
    x0, body = batch.x0.to(device), batch.body.to(device)
    t, noise = _times_and_noise(batch.seeds, x0, config)
    condition = batch.condition.to(device)
    known = known_mask_of(condition, x0.shape[1])
    x = torch.where(known > 0, x0, interpolate(x0, noise, t))
    out = model(x.contiguous(memory_format=torch.channels_last_3d), t, condition)
    of_time = ((t > 0) * time_weight(t, config.model.data_sd)).view(-1, 1, 1, 1, 1)
    weight = (1 + config.body_weight * body) * (1 - known)
    flow = velocity_loss(out.velocity.float(), x0, noise, weight, of_time, mean_over_processes)
    labels, annotated = batch.labels.to(device), batch.annotated.to(device)
    organs = label_loss(out.labels.float(), labels, annotated, (1 - t) ** 3, mean_over_processes)
    loss = flow + config.label_weight * organs
    return loss, {"loss": loss.detach(), "flow": flow.detach(), "organs": organs.detach()}


def _times_and_noise(seeds: Sequence[int], x0: torch.Tensor, config: TrainConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """(B,) times and noise like x0, drawn on its device from the seed of each volume."""
    times, noise = [], []
    for seed in seeds:
        generator = torch.Generator(x0.device).manual_seed(seed)
        t = draw_times(1, generator, config.times.mean, config.times.scale, config.times.uniform)
        clean = torch.rand(1, generator=generator, device=x0.device) < config.times.clean
        times.append(t * ~clean)
        noise.append(torch.randn(x0.shape[1:], generator=generator, device=x0.device))
    return torch.cat(times), torch.stack(noise)


def drawn_seed(rng: np.random.Generator) -> int:
    """Of a volume's time and noise."""
    return int(rng.integers(2**62))


def time_weight(t: torch.Tensor, data_sd: float | None) -> torch.Tensor:
    """(B,) weight that makes every t count alike in units of the network's output (Karras et al. 2022, eq. 8)."""
    if data_sd is None:
        return torch.ones_like(t)
    return ((1 - t) ** 2 * data_sd**2 + t**2) / data_sd**2


def with_background(organs: torch.Tensor) -> torch.Tensor:
    """(organs, ..) fractions -> (1 + organs, ..) with what is left as background first."""
    return torch.cat([(1 - organs.sum(dim=0, keepdim=True)).clamp(min=0), organs])


def random_known(shape: torch.Size, rng: np.random.Generator, device: torch.device) -> torch.Tensor:
    """(1, X, Y, Z) mask of what is known: all but a random ball."""
    centre = [rng.uniform(0, n) for n in shape]
    radius = rng.uniform(0.15, 0.5) * min(shape)
    grids = torch.meshgrid(*(torch.arange(n, device=device) + 0.5 for n in shape), indexing="ij")
    distance = sum((g - c) ** 2 for g, c in zip(grids, centre, strict=True))
    return (torch.as_tensor(distance) > radius**2).float()[None]


class _FrameTask:
    """What base and refine share: whole frames in memory, their requests, a jittered draw."""

    def __init__(
        self,
        subjects: Sequence[PreparedPatient],
        texts: TextBank,
        placed: PlacedScaffolds | None,
        config: TrainConfig,
        device: torch.device | None = None,
    ) -> None:
        """`placed`: scaffolds of the subjects, None for none. `device`: where frames lie and batches are drawn; jitter
        takes a GPU a hundredth of a CPU's time."""
        self.shard = Shard()
        self.subjects, self.texts, self.config = subjects, texts, config
        self.region = self.subjects[0].region
        self.device, self.placed = device or torch.device("cpu"), placed
        self._kept: dict[int, tuple[PreparedPatient, list[Parts]]] = {}
        self.keeps = self._fits(config.memory_gb)

    def _fits(self, most_gb: float) -> bool:
        """Whether all patients, ready to be jittered, fit into the memory that they may take."""
        coarse = (1 + len(self.region.organs)) / 8  # voxels at 8 mm for one at 4
        halves = 2 + coarse + ((1 + coarse) if self.placed else 0)
        voxels = len(self.subjects) * math.prod(self.region.frame.shape_at(4.0))
        return voxels * (2 * halves + 4) < most_gb * 1e9

    def patient(self, index: int) -> tuple[PreparedPatient, list[Parts]]:
        """A subject, and it and its scaffold if there are any on the device; read anew where not all can stay there."""
        if index in self._kept:
            return self._kept[index]
        subject = self.subjects[index]
        both = [parts_of(subject), *([self.placed.parts(subject)] if self.placed else [])]
        found = subject, [parts.to(self.device) for parts in both]
        if self.keeps:
            self._kept[index] = found
        return found

    def draw_frames(self, count: int, rng: np.random.Generator, train: bool) -> list[tuple[Posed, np.random.Generator]]:
        """`count` frames, each with the generator of what is still to be drawn of it.

        In training `volumes_a_frame` of them are one, and differ in request, time and noise.
        """
        each = self.config.volumes_a_frame if train else 1
        frames = [(self._draw_frame(own, train), own) for own in self.shard.generators(rng, -(-count // each))]
        return [frame for frame in frames for _ in range(each)][:count]

    def _draw_frame(self, rng: np.random.Generator, train: bool) -> Posed:
        index = int(rng.integers(len(self.subjects)))
        bend, still = self.config.bend_mm, Jitter.none(self.region.frame)
        return self.posed(index, Jitter.draw(self.region, rng, bend) if train else still)

    def posed(self, index: int, jitter: Jitter) -> Posed:
        """A subject, and its scaffold if there are any, under a jitter."""
        subject, parts = self.patient(index)
        volume, *scaffold = jittered_alike(parts, jitter)
        return Posed(subject, jitter, volume, scaffold[0] if scaffold else None)

    def request(
        self, subject: PreparedPatient, jitter: Jitter, rng: np.random.Generator, with_text: bool = True
    ) -> tuple[torch.Tensor, str | None]:
        """Facts and text, parts withheld."""
        region = self.region
        facts = region.jittered(region.mirrored(subject.facts) if jitter.mirror else subject.facts, jitter)
        nothing = rng.random() < self.config.drop_request
        encoded = draw_facts(region, {} if nothing else facts, self.config.drop_fact, rng)
        speak = with_text and not nothing and rng.random() >= self.config.drop_text
        return encoded, self.texts.draw(subject, jitter.mirror, rng) if speak else None

    @staticmethod
    def annotated(subject: PreparedPatient, jitter: Jitter) -> torch.Tensor:
        """Flags of the organs drawn, right and left swapped in a mirror image."""
        flags = subject.annotated.clone()
        return flags[list(subject.region.mirror)] if jitter.mirror else flags


class BaseTask(_FrameTask):
    """Whole frames at 16 mm: CT, and prescribed dose where the region has doses."""

    refine = False

    @property
    def channels(self) -> int:
        """Of what is drawn."""
        return 1 + bool(self.region.doses_gy)

    def draw(self, rng: np.random.Generator, train: bool = True) -> Batch:
        """One batch; every draw comes from `rng`."""
        frames = self.draw_frames(self.config.batch, rng, train)
        return collate([self._sample(*frame) for frame in frames], self.config.text_encoder, self.region.ct)

    def _sample(self, frame: Posed, rng: np.random.Generator) -> Sample:
        subject, jitter, coarse = frame.subject, frame.jitter, pool(frame.volume)
        ct = coarse[:1] - 1.0
        facts, text = self.request(subject, jitter, rng)
        return Sample(
            x0=torch.cat([ct_to_network(ct, self.region.ct), dose_to_network(coarse[1:2])])[: self.channels],
            labels=with_background(coarse[2:]),
            body=(ct > _BODY_UNIT).float(),
            facts=facts,
            text=text,
            annotated=self.annotated(subject, jitter),
            spacing=torch.full((3,), BASE_SPACING_MM),
            lower_mm=torch.tensor(self.region.frame.lower_mm),
            known_mask=torch.zeros_like(ct),
            seed=drawn_seed(rng),
            scaffold=frame.scaffold,
        )

    def fit_prior(self, model: Denoiser) -> None:
        """Fit the model's Gaussian part to jittered frames, facts withheld as in training."""
        if model.prior is None:
            return
        each, volumes, facts = self.config.volumes_a_frame, [], []
        for i in range(_PRIOR_FRAMES):
            rng = np.random.default_rng([self.config.seed, 2**31, i])
            frames = self.draw_frames(each, rng, train=True)
            batch = collate([self._sample(*frame) for frame in frames], self.config.text_encoder, self.region.ct)
            volumes.append((batch.x0 - model.scaffold_of(batch.condition)).cpu())
            facts.append(batch.condition.facts.cpu())
        model.prior.fit(torch.cat(volumes), torch.cat(facts), _PRIOR_RIDGE)


class RefineTask(_FrameTask):
    """Detail bands given the coarse CT: whole frames 16 -> 8 mm, crops of everything finer."""

    channels = 7
    refine = True
    crop = 16  # coarse positions a side

    def __init__(
        self,
        subjects: Sequence[PreparedPatient],
        texts: TextBank,
        placed: PlacedScaffolds | None,
        config: TrainConfig,
        volumes: Sequence[tuple[torch.Tensor, torch.Tensor]] = (),
        device: torch.device | None = None,
    ) -> None:
        """`volumes`: (intensity (1, X, Y, Z), spacing (3,)) of CT at native spacing, without labels."""
        super().__init__(subjects, texts, placed, config, device)
        self.volumes = list(volumes)
        self._known_places: dict[str, dict[int, np.ndarray]] = {}
        size = np.sqrt([float(ct.numel()) for ct, _ in self.volumes])  # a large fine volume has more to show
        self.volume_share = size / size.sum() if self.volumes else size

    def draw(self, rng: np.random.Generator, train: bool = True) -> Batch:
        """One batch of one kind: whole frames (a quarter of the batch), or crops.

        A patchwork is drawn on from 8 mm, so whole frames, which teach the way from 16 to 8 mm, are none of its work.
        """
        if self.region.scaffold != "patchwork" and rng.random() < self.config.whole_share:
            frames = self.draw_frames(max(self.config.batch // 4, 1), rng, train)
            return collate([self._whole(*frame) for frame in frames], self.config.text_encoder)
        rngs = self.shard.generators(rng, self.config.batch)
        return collate([self._crop(own) for own in rngs], self.config.text_encoder)

    def _whole(self, frame: Posed, rng: np.random.Generator) -> Sample:
        subject, jitter = frame.subject, frame.jitter
        facts, text = self.request(subject, jitter, rng)
        return self._finish(
            rng,
            frame.volume[:1] - 1.0,
            with_background(frame.volume[2:]),
            self.annotated(subject, jitter),
            facts,
            text,
            torch.full((3,), COARSE_MM),
            torch.tensor(self.region.frame.lower_mm),
            frame.scaffold,
        )

    def _crop(self, rng: np.random.Generator) -> Sample:
        if self.volumes and rng.random() < 0.4:
            return self._unlabelled_crop(rng)
        return self._labelled_crop(rng)

    def _labelled_crop(self, rng: np.random.Generator) -> Sample:
        subject = self.subjects[int(rng.integers(len(self.subjects)))]
        size = 2 * self.crop
        centre = self._crop_centre(subject, rng)
        start = [
            int(np.clip(c - size // 2 + rng.integers(-6, 7), 0, n - size)) // 2 * 2
            for c, n in zip(centre, subject.hu.shape, strict=True)
        ]
        mirror = bool(rng.random() < 0.5) and self.region.symmetric
        somewhere = bool(rng.random() >= 0.3)
        return self.crop_at(subject, start, mirror, somewhere, rng)

    def crop_at(
        self, subject: PreparedPatient, start: Sequence[int], mirror: bool, somewhere: bool, rng: np.random.Generator
    ) -> Sample:
        """The crop whose first voxel at 4 mm is `start`, or its mirror image; told where it is, or not."""
        size = 2 * self.crop
        box = tuple(slice(s, s + size) for s in start)
        ct = torch.from_numpy(intensity.to_unit(subject.hu[box]))[None].to(self.device)
        labels = fractions(
            torch.from_numpy(np.ascontiguousarray(subject.organs[box])).to(self.device), self.region.classes
        )
        lower = torch.tensor(self.region.frame.lower_mm) + 4.0 * torch.tensor(start)
        if mirror:
            ct, labels = ct.flip(1), swap_sides(labels.flip(1), self.region)
            lower[0] = -(lower[0] + 4.0 * size)
        if not somewhere:
            lower = torch.full((3,), torch.nan)
        jitter = Jitter.none(self.region.frame, mirror)
        facts, _ = self.request(subject, jitter, rng, with_text=False)
        annotated = self.annotated(subject, jitter)
        return self._finish(rng, ct, labels, annotated, facts, None, torch.full((3,), 4.0), lower)

    def _crop_centre(self, subject: PreparedPatient, rng: np.random.Generator) -> tuple[int, ...]:
        """A voxel mostly of one organ, every organ as often as the others, else anywhere in the body."""
        places = self._known_places.get(subject.name) or _places(subject)
        if self.keeps:
            self._known_places[subject.name] = places
        organs = [organ for organ in places if organ]
        where = places[int(rng.choice(organs)) if organs and rng.random() < _ORGAN_SHARE else 0]
        if not len(where):
            return tuple(n // 2 for n in subject.hu.shape)
        return tuple(int(i) for i in np.unravel_index(where[rng.integers(len(where))], subject.hu.shape))

    def _unlabelled_crop(self, rng: np.random.Generator) -> Sample:
        ct, spacing = self.volumes[int(rng.choice(len(self.volumes), p=self.volume_share))]
        size = 2 * self.crop
        start = [int(rng.integers(0, n - size + 1)) for n in ct.shape[1:]]
        box = ct[:, start[0] : start[0] + size, start[1] : start[1] + size, start[2] : start[2] + size]
        flips = [d for d in (1, 2, 3) if rng.random() < 0.5]
        box = box.to(self.device).float().flip(flips)
        background = torch.zeros(self.region.classes, size, size, size, device=self.device)
        background[0] = 1
        nowhere, unknown = torch.full((3,), torch.nan), torch.zeros(len(self.region.organs))
        facts = draw_facts(self.region, {}, 1, rng)
        return self._finish(rng, box, background, unknown, facts, None, spacing, nowhere)

    def _finish(
        self,
        rng: np.random.Generator,
        ct: torch.Tensor,
        labels: torch.Tensor,
        annotated: torch.Tensor,
        facts: torch.Tensor,
        text: str | None,
        spacing: torch.Tensor,
        lower_mm: torch.Tensor,
        scaffold: torch.Tensor | None = None,
    ) -> Sample:
        """Split the bands, noise the coarse one so that the network forgives `base`, hide a region."""
        coarse, details = split_bands(ct)
        noise = float(max(0.0, rng.uniform(-0.05, 0.15)))
        noisy = coarse + noise * torch.from_numpy(rng.standard_normal(coarse.shape, dtype=np.float32)).to(self.device)
        known = random_known(coarse.shape[1:], rng, self.device) if rng.random() < 0.3 else torch.zeros_like(coarse)
        coarse_labels = F.avg_pool3d(labels[None], 2)[0]
        if rng.random() < 0.2:  # a host without labels
            coarse_labels = torch.zeros_like(coarse_labels)
        return Sample(
            x0=detail_to_network(details),
            labels=labels,
            body=(coarse > _BODY_UNIT).float(),
            facts=facts,
            text=text,
            annotated=annotated,
            spacing=spacing,
            lower_mm=lower_mm,
            known_mask=known,
            seed=drawn_seed(rng),
            coarse=noisy,
            coarse_labels=coarse_labels,
            coarse_noise=noise,
            scaffold=scaffold,
        )


def _places(subject: PreparedPatient) -> dict[int, np.ndarray]:
    """Flat indices of the voxels of every organ that was drawn, and under 0 those of the body."""
    flat = subject.organs.ravel()
    organs = {int(organ): np.flatnonzero(flat == organ).astype(np.int32) for organ in np.unique(flat) if organ}
    return {0: np.flatnonzero(subject.hu.ravel() > -300).astype(np.int32), **organs}


def build_model(config: TrainConfig, task: TrainedTask) -> Denoiser:
    """A fresh denoiser of the task's channels, or the one that training starts from."""
    if config.init is not None:
        model = load_model(Denoiser, config.init)
        return model if model.region == task.region else model.adapted(task.region)
    return Denoiser(
        channels=task.channels,
        refine=task.refine,
        widths=config.model.widths,
        blocks=config.model.blocks,
        embedding_dim=config.model.embedding_dim,
        data_sd=config.model.data_sd,
        prior_shape=None if task.refine or not config.prior_rank else task.region.frame.shape,
        prior_rank=config.prior_rank,
        region=None if task.region == shipped() else task.region.text,
        text_encoder=config.text_encoder,
        text_dim=TEXT_DIM if config.text_encoder is None else text_encoder(config.text_encoder).dim,
    )
