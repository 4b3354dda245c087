"""The training loop, the same for every network. Run it again after a kill and it goes on."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel

from synth.case.weights_folder import Weights
from synth.data import tumours
from synth.data.dataset import load_subjects
from synth.data.native import load_native
from synth.data.store import PATIENTS
from synth.data.tumours import load_tumours
from synth.errors import InputError
from synth.models.denoiser import Denoiser
from synth.models.weights import load_model
from synth.training import checkpoint, log
from synth.training.checkpoint import State, TrainingProgress
from synth.training.config import TrainConfig, load_config
from synth.training.lesion_task import LesionTask
from synth.training.loader import step_batches
from synth.training.pictures import drawn, write_picture
from synth.training.placed import PlacedScaffolds
from synth.training.requests import TextBank
from synth.training.sharded import shard_parameters
from synth.training.shards import Shard, mean_over_processes
from synth.training.tasks import BaseTask, Batch, RefineTask, batch_loss, build_model
from synth.training.trackers import require, scalars, settings

Task = BaseTask | RefineTask | LesionTask

_VALIDATION_BATCHES = 6


def make_task(config: TrainConfig, split: str, device: torch.device) -> Task:
    """The task of a split (`train` or `val`), data loaded onto the device."""
    if config.network == "lesion":
        region = None if config.init is None else load_model(Denoiser, config.init).region
        return LesionTask(load_tumours(config.data / tumours.FOLDER / split), config, device, region)
    subjects = load_subjects(config.data / PATIENTS / split)
    texts = TextBank(config.seed)
    placed = PlacedScaffolds.of(config.shape)
    if config.network == "base":
        return BaseTask(subjects, texts, placed, config, device)
    return RefineTask(subjects, texts, placed, config, load_native(config.data / "native" / split), device)


def train(network: str, config_path: Path, overrides: dict[str, Any] | None = None) -> Path:
    """Train until `steps` or `max_minutes`; returns the folder of the EMA weights (`best` lies beside it)."""
    config = load_config(config_path, {**(overrides or {}), "network": network})
    if network == "lesion" and config.init is None:
        config = config.model_copy(update={"init": Weights.covering(None).part("refine")})
    return Trainer(config).run()


class Trainer:
    """Model, optimiser, EMA and progress, saved and restored together."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.accelerator = _accelerator(config)
        torch.manual_seed(config.seed)  # of a fresh network's weights, the same in every process
        torch.backends.cudnn.benchmark = True  # volumes come in few shapes
        device = self.accelerator.device
        self.shard = Shard(self.accelerator.process_index, self.accelerator.num_processes)
        where = torch.device("cpu") if config.workers else device  # worker processes draw on the CPU
        self.task, self.validation = make_task(config, "train", where), make_task(config, "val", where)
        bare = build_model(config, self.task).train()
        fresh = (config.init is None or config.refit_prior) and not checkpoint.exists(config.out)
        if isinstance(self.task, BaseTask) and fresh:
            self.task.fit_prior(bare)
        self.task.shard = self.validation.shard = self.shard
        bare.gradient_checkpointing = config.gradient_checkpointing
        if not config.fsdp:  # which takes parameters in rows alone
            bare = bare.to(memory_format=torch.channels_last_3d)
        bare = bare.to(device)
        self.bare = shard_parameters(bare, device) if config.fsdp else bare
        self.model = self.bare if config.fsdp else self.accelerator.prepare(self.bare)
        self.optimizer = torch.optim.AdamW(
            self.bare.parameters(),
            config.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=config.weight_decay,
            fused=device.type == "cuda",
        )
        self.ema = EMAModel(self.bare.parameters(), decay=config.ema, use_ema_warmup=True, power=0.75, foreach=True)
        self.progress = TrainingProgress()
        self.sums: dict[str, torch.Tensor] = {}
        self.log_file = config.out / log.NAME
        self.stopping = False

    def run(self) -> Path:
        """The loop, alone in its folder. Raises InputError while another run trains there."""
        first = self.accelerator.is_main_process
        with log.run_folder(self.config.out) if first else nullcontext():
            return self._run()

    def _run(self) -> Path:
        self.resume()
        if self.progress.step == 0 and self.config.init is not None:
            self.keep_if_best(self.validate())  # what training starts from is the mark to beat
        started = saved = time.monotonic()
        before = self.progress.seconds
        with _on_terminate(self.stop):
            for batches in step_batches(self.task, self.config, self.progress.step):
                self.train_step(batches)
                self.progress.step += 1
                now = time.monotonic()
                self.progress.seconds = before + now - started
                if self.progress.step % self.config.log_every == 0:
                    self.report()
                if self.progress.step % self.config.validate_every == 0:
                    self.keep_if_best(self.validate())
                    self.picture()
                limit = self.config.max_minutes
                stop = self.stopping or (limit is not None and now - started > 60 * limit)
                save = now - saved > 60 * self.config.checkpoint_minutes
                stop, save = self._agreed(stop, save)
                if save and not stop:
                    self.save()
                    saved = time.monotonic()
                if stop:
                    break
        self.save()
        for tracker in self.accelerator.trackers:  # end_training would end the group of processes too
            tracker.finish()
        return self.config.out / "weights"

    def stop(self) -> None:
        """End after this step, with a checkpoint."""
        self.stopping = True

    def train_step(self, batches: list[Batch]) -> None:
        """One optimiser step."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.progress.step)
        numbers: dict[str, torch.Tensor] = {}
        for micro, batch in enumerate(batches):
            with self._gradients_shared(last=micro == len(batches) - 1), self.accelerator.autocast():
                loss, numbers = batch_loss(self.model, batch, self.config)
                (loss / len(batches)).backward()
        torch.nn.utils.clip_grad_norm_(self.bare.parameters(), self.config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.step(self.bare.parameters())
        for name, value in numbers.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.double()
        self.progress.summed += 1

    def _gradients_shared(self, last: bool) -> AbstractContextManager[None]:
        """Between processes, with the last of the batches that a step accumulates."""
        if self.config.fsdp:
            self.bare.set_requires_gradient_sync(last)
            return nullcontext()
        return nullcontext() if last else self.accelerator.no_sync(self.model)

    def _agreed(self, stop: bool, save: bool) -> tuple[bool, bool]:
        """What any process asks for, all do; several of them ask each other when they report."""
        if self.shard.world == 1:
            return stop, save
        if self.progress.step % self.config.log_every:
            return False, False
        asked = torch.tensor([float(stop), float(save)], device=self.accelerator.device)
        together = mean_over_processes(asked) > 0
        return bool(together[0]), bool(together[1])

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The EMA weights in the place of the model's."""
        live = [p.detach().clone() for p in self.bare.parameters()]
        self._put(self.ema.shadow_params)
        yield
        self._put(live)

    def _put(self, values: list[torch.Tensor]) -> None:
        """Into the parameters, one by one: sharded ones cannot be copied together."""
        for parameter, value in zip(self.bare.parameters(), values, strict=True):
            parameter.data.copy_(value)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean losses of the EMA weights over fixed batches of validation patients."""
        rows = []
        with self._averaged():
            for i in range(_VALIDATION_BATCHES):
                batch = self.validation.draw(np.random.default_rng([1, i]), train=False)
                rows.append(batch_loss(self.model, batch, self.config)[1])
        return {
            name: self._mean(torch.stack([row[name] for row in rows]).double().sum(), len(rows)) for name in rows[0]
        }

    @torch.no_grad()
    def picture(self) -> None:
        """What the EMA weights draw of the first validation batch."""
        if not self.config.pictures:
            return
        batch = self.validation.draw(np.random.default_rng([1, 0]), train=False)
        with self._averaged(), self.accelerator.autocast():
            pair = drawn(self.model, self.bare, batch, self.config.pictures)
        if self.accelerator.is_main_process:
            write_picture(*pair, self.config.out / "pictures" / f"step_{self.progress.step:07d}.png")

    def _mean(self, total: torch.Tensor, count: int) -> float:
        return round(float(mean_over_processes(total)) / count, 5)

    def keep_if_best(self, results: dict[str, float]) -> None:
        """Log a validation, and keep the EMA weights of the best one in `best`: with few patients, long runs learn
        them by heart, and only the validation loss shows it."""
        self.log({"validation": results})
        if self.progress.best is None or results["flow"] < self.progress.best:
            self.progress.best = results["flow"]
            self._save_weights("best")
        self.accelerator.wait_for_everyone()

    def report(self) -> None:
        """Log the mean losses since the last report, how fast it goes and how long it will take."""
        means = {name: self._mean(total, self.progress.summed) for name, total in self.sums.items()}
        each = self.progress.seconds / self.progress.step
        volumes = self.config.batch * self.config.accumulate * self.shard.world
        self.log(
            {
                "train": means,
                "seconds": round(self.progress.seconds, 1),
                "volumes_a_second": round(volumes / each, 2),
                "hours_left": round(each * (self.config.steps - self.progress.step) / 3600, 2),
            }
        )
        self.sums, self.progress.summed = {}, 0

    def log(self, values: dict[str, Any]) -> None:
        """Append one line, on the first process, and print it."""
        if self.accelerator.is_main_process:
            row = {"step": self.progress.step, **values}
            log.append(self.log_file, row)
            self.accelerator.log(scalars(row), step=self.progress.step)
            print(log.as_text(row, self.config.steps), flush=True)

    def save(self) -> None:
        """Checkpoint and EMA weights, each written aside and renamed when whole."""
        self.progress.sums = {name: float(total) for name, total in self.sums.items()}
        checkpoint.write(self.config.out, self._state(), self.progress)
        self._save_weights("weights")
        self.accelerator.wait_for_everyone()

    def _state(self) -> State:
        return State(self.bare, self.optimizer, self.ema.shadow_params)

    def _save_weights(self, name: str) -> None:
        with self._averaged():
            tensors = checkpoint.whole(self.bare.state_dict())
        if self.accelerator.is_main_process:
            plain = Denoiser.from_config(dict(self.bare.config))
            plain.load_state_dict(tensors)
            with checkpoint.replacing(self.config.out / name) as partial:
                plain.save_pretrained(partial)

    def resume(self) -> None:
        """Go on from the last whole checkpoint, if there is one; the log is cut back to it."""
        found = checkpoint.read(self.config.out, self._state())
        if found is not None:
            self.progress = found
            self.ema.optimization_step = found.step  # its decay warms up with them
            device = self.accelerator.device
            self.sums = {name: torch.tensor(v, dtype=torch.float64, device=device) for name, v in found.sums.items()}
        if self.accelerator.is_main_process:
            log.cut_back(self.log_file, self.progress.step)
        self.accelerator.wait_for_everyone()


def _accelerator(config: TrainConfig) -> Accelerator:
    """Processes, device and autocast."""
    precision = None if config.mixed_precision == "auto" else config.mixed_precision
    require(config.tracker)
    accelerator = Accelerator(
        mixed_precision=precision, cpu=not torch.cuda.is_available(), log_with=config.tracker, project_dir=config.out
    )
    if accelerator.mixed_precision not in ("no", "bf16"):
        raise InputError(f"mixed_precision {accelerator.mixed_precision}: trains in bf16 or no; set mixed_precision")
    if config.tracker is not None:
        accelerator.init_trackers("synthct", config=settings(config))
    return accelerator


@contextmanager
def _on_terminate(stop: Callable[[], None]) -> Iterator[None]:
    """A batch system says that time is over with SIGTERM: end in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def learning_rate(config: TrainConfig, step: int) -> float:
    """Rises over `warmup` steps, stays, and falls to zero over the last `cooldown` of `steps`."""
    rise = (step + 1) / max(config.warmup, 1)
    fall = (config.steps - step) / max(config.cooldown, 1)
    return config.learning_rate * min(1.0, rise, fall)
