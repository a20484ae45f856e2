"""The training loop that all models share."""

import math
import time

import torch


def fit(parameters, loss_of, steps, rate, warmup=100, log=print):
    """Calls `loss_of(step)` and follows its gradient `steps` times: AdamW, a warm-up, then a cosine down to nothing."""
    parameters = [each for each in parameters if each.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    warmup = min(warmup, steps // 10 + 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min((step + 1) / warmup, 0.5 * (1 + math.cos(math.pi * step / steps))),
    )
    began, recent = time.monotonic(), []
    for step in range(1, steps + 1):
        loss = loss_of(step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5)
        optimiser.step()
        schedule.step()
        recent.append(loss.item())
        if step % 50 == 0 or step == steps:
            log(f"step {step} of {steps}, loss {sum(recent) / len(recent):.4f}, {time.monotonic() - began:.0f} s")
            recent = []
