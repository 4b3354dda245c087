"""The training loop, the same for every network. Run it again after a kill and it goes on."""

from __future__ import annotations

import json
import math
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from diffusers.training_utils import EMAModel

from synth.data import tumours
from synth.data.dataset import load_subjects
from synth.data.native import load_native
from synth.data.tumours import load_tumours
from synth.models.text import text_encoder
from synth.models.weights_folder import Weights
from synth.shape.placed import Placed
from synth.training.config import TrainConfig, load_config
from synth.training.lesion_task import LesionTask
from synth.training.requests import TextBank
from synth.training.tasks import BaseTask, RefineTask, batch_loss, build_model

Task = BaseTask | RefineTask | LesionTask

_VALIDATION_BATCHES = 6


def make_task(config: TrainConfig, split: str, device: torch.device) -> Task:
    """The task of a split (`train` or `val`), data loaded onto the device."""
    if config.network == "lesion":
        return LesionTask(load_tumours(config.data / tumours.FOLDER / split), config, device)
    subjects = load_subjects(config.data / "headneck" / split)
    texts = TextBank(subjects, text_encoder(), config.seed)
    placed = None if config.shape is None else Placed.load(config.shape)
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
    """Model, optimiser, EMA and step counter, saved and restored together."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.accelerator = Accelerator(
            gradient_accumulation_steps=config.accumulate,
            mixed_precision=None if config.mixed_precision == "auto" else config.mixed_precision,
            cpu=not torch.cuda.is_available(),
        )
        set_seed(config.seed)
        device = self.accelerator.device
        torch.backends.cudnn.benchmark = True  # volumes come in few shapes
        self.task = make_task(config, "train", device)
        self.validation = make_task(config, "val", device)
        model = build_model(config, self.task).train()
        fresh = not (config.out / "checkpoint").exists()
        if isinstance(self.task, BaseTask) and fresh and (config.init is None or config.refit_prior):
            self.task.fit_prior(model)
        model = model.to(memory_format=torch.channels_last_3d)
        if config.gradient_checkpointing:
            model.gradient_checkpointing = True
        optimizer = torch.optim.AdamW(
            model.parameters(),
            config.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=config.weight_decay,
            fused=device.type == "cuda",
        )
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.ema = EMAModel(model.parameters(), decay=config.ema, use_ema_warmup=True, power=0.75, foreach=True)
        self.ema.to(device)
        self.accelerator.register_for_checkpointing(self.ema)
        self.step = 0
        self.best = math.inf
        self.log_file = config.out / "log.jsonl"

    def run(self) -> Path:
        """The loop."""
        self.resume()
        if self.step == 0 and self.config.init is not None:
            self.keep_if_best(self.validate())  # what training starts from is the mark to beat
        started = saved = time.monotonic()
        recent: list[dict[str, torch.Tensor]] = []
        while self.step < self.config.steps:
            recent.append(self.train_step())
            self.step += 1
            now = time.monotonic()
            if self.step % self.config.log_every == 0:
                self.log({"train": _mean(recent), "seconds": round(now - started, 1)})
                recent = []
            if self.step % self.config.validate_every == 0:
                self.keep_if_best(self.validate())
            out_of_time = self.config.max_minutes is not None and now - started > 60 * self.config.max_minutes
            if now - saved > 60 * self.config.checkpoint_minutes or out_of_time:
                self.save()
                saved = time.monotonic()
            if out_of_time:
                break
        self.save()
        return self.config.out / "weights"

    def train_step(self) -> dict[str, torch.Tensor]:
        """One optimiser step; its draws depend on (seed, step, rank) alone, so a resumed run repeats them."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.step)
        numbers: dict[str, torch.Tensor] = {}
        for micro in range(self.config.accumulate):
            key = [self.config.seed, self.step, self.accelerator.process_index, micro]
            batch = self.task.draw(np.random.default_rng(key))
            with self.accelerator.accumulate(self.model), self.accelerator.autocast():
                loss, numbers = batch_loss(self.model, batch, self.config, self._generator(key))
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip)
                self.optimizer.step()
                self.optimizer.zero_grad()
        self.ema.step(self.model.parameters())
        return numbers

    def _generator(self, key: list[int]) -> torch.Generator:
        seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
        return torch.Generator(self.accelerator.device).manual_seed(seed)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean losses of the EMA weights over fixed batches of validation patients."""
        self.ema.store(self.model.parameters())
        self.ema.copy_to(self.model.parameters())
        results = []
        for i in range(_VALIDATION_BATCHES):
            batch = self.validation.draw(np.random.default_rng([1, i]), train=False)
            results.append(batch_loss(self.model, batch, self.config, self._generator([1, i]))[1])
        self.ema.restore(self.model.parameters())
        return _mean(results)

    def keep_if_best(self, results: dict[str, float]) -> None:
        """Log a validation, and keep the EMA weights of the best one in `best`: with few patients, long runs learn
        them by heart, and only the validation loss shows it."""
        self.log({"validation": results})
        if results["flow"] < self.best:
            self.best = results["flow"]
            if self.accelerator.is_main_process:
                self._save_weights("best")
        self.accelerator.wait_for_everyone()

    def log(self, values: dict[str, Any]) -> None:
        """Append one JSON line, on the first process."""
        if self.accelerator.is_main_process:
            line = json.dumps({"step": self.step, **values})
            with self.log_file.open("a") as file:
                file.write(line + "\n")
            print(line, flush=True)

    def save(self) -> None:
        """Checkpoint and EMA weights, each written aside and renamed when whole."""
        target = self.config.out / "checkpoint"
        aside = self.config.out / "checkpoint.new"
        if self.accelerator.is_main_process:
            shutil.rmtree(aside, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(aside))
        if self.accelerator.is_main_process:
            (aside / "progress.json").write_text(json.dumps({"step": self.step, "best": self.best}))
            _replace(aside, target)
            self._save_weights("weights")
        self.accelerator.wait_for_everyone()

    def _save_weights(self, name: str) -> None:
        model = self.accelerator.unwrap_model(self.model)
        self.ema.store(model.parameters())
        self.ema.copy_to(model.parameters())
        aside = self.config.out / f"{name}.new"
        model.save_pretrained(aside)
        self.ema.restore(model.parameters())
        _replace(aside, self.config.out / name)

    def resume(self) -> None:
        """Go on from the last whole checkpoint, if there is one; the log is cut back to it."""
        self.config.out.mkdir(parents=True, exist_ok=True)
        for folder in ("checkpoint", "checkpoint.old"):
            progress = self.config.out / folder / "progress.json"
            if progress.is_file():
                self.accelerator.load_state(str(progress.parent))
                about = json.loads(progress.read_text())
                self.step, self.best = about["step"], about["best"]
                break
        if self.log_file.exists() and self.accelerator.is_main_process:
            lines = [ln for ln in self.log_file.read_text().splitlines() if json.loads(ln)["step"] <= self.step]
            self.log_file.write_text("".join(line + "\n" for line in lines))


def learning_rate(config: TrainConfig, step: int) -> float:
    """Rises over `warmup` steps, stays, and falls to zero over the last `cooldown` of `steps`."""
    rise = (step + 1) / max(config.warmup, 1)
    fall = (config.steps - step) / max(config.cooldown, 1)
    return config.learning_rate * min(1.0, rise, fall)


def _replace(aside: Path, target: Path) -> None:
    """Put a whole folder in the place of an older one; killed in between, `target`.old still stands."""
    old = target.with_name(target.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    aside.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _mean(rows: list[dict[str, torch.Tensor]]) -> dict[str, float]:
    return {k: round(float(torch.stack([r[k] for r in rows]).mean()), 5) for k in rows[0]}
