"""How fast pictures are drawn: `python test/bench/bench_draw.py [--base FOLDER] [--device cpu]`.

Ours (`generation.sampler.generate`: adapter merged, batches) against diffusers' plain way, as its
documentation shows it: `from_pretrained`, `load_lora_weights`, `pipeline(prompt)` for each prompt;
and against the same with prompts handed over in batches (`plain, batched`). Same base, adapter,
sampler, steps, guidance and seeds. Each measurement is a process of its own, taken in turns:

- first: from the start of Python to the first picture, imports and loading included;
- warm: seconds for all pictures after one that is not counted.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bunny.core import file_hash

WAYS = ("ours", "plain", "plain, batched")
PLACES = ("beach", "snowy forest", "kitchen", "city street", "desert", "mountain", "bedroom", "sea")


def make_adapter(base, path, rank):
    """A LoRA with random weights on attention and convolutions: speed does not depend on them."""
    import torch
    from diffusers import StableDiffusionPipeline
    from diffusers.training_utils import _collate_lora_metadata
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    pipeline = StableDiffusionPipeline.from_pretrained(
        base, safety_checker=None, requires_safety_checker=False, dtype=torch.float32
    )
    unet = pipeline.unet
    targets = ["to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2", "ff.net.0.proj", "ff.net.2"]
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=targets))
    torch.manual_seed(0)
    for name, weight in unet.named_parameters():
        if "lora_B" in name:
            weight.data = 0.01 * torch.randn(weight.shape)
    StableDiffusionPipeline.save_lora_weights(
        path.parent,
        unet_lora_layers=get_peft_model_state_dict(unet),
        weight_name=path.name,
        **_collate_lora_metadata({"unet": unet}),
    )


def prompts_of(number):
    """Captions of the toy's world."""
    return [f"a red bear in a {PLACES[i % len(PLACES)]}, medium shot, day" for i in range(number)]


def draw_ours(a):
    """First picture, then all of them; seconds."""
    from bunny.generation import request, sampler
    from bunny.training import base

    loaded = base.load_base(a.base, device=a.device, precision=a.precision)
    path = Path(a.adapter)
    worn = request.WeightedAdapter(path=path, hash=file_hash.hash_file(path))
    like = {"num_steps": a.steps, "guidance_scale": 5.0}
    wanted = [
        request.GenerationRequest(prompt=p, seed=i, **like)
        for i, p in enumerate(prompts_of(a.pictures))
    ]
    made = [one.picture for one in sampler.generate(loaded, wanted[:1], worn)]
    first = time.time() - a.started
    begun = time.time()
    if a.pictures > 1:
        drawn = sampler.generate(loaded, wanted, worn, batch_size=a.batch)
        made += [one.picture for one in drawn]
    return first, time.time() - begun, made


def draw_plain(a):
    """The same with diffusers alone; one prompt at a time, or several."""
    import torch
    from diffusers import StableDiffusionPipeline

    dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[a.precision]
    pipeline = StableDiffusionPipeline.from_pretrained(
        a.base, safety_checker=None, requires_safety_checker=False, dtype=dtype
    ).to(a.device)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(a.adapter)
    prompts, made = prompts_of(a.pictures), []
    size = a.batch if a.way == "plain, batched" else 1

    def draw(low):
        part = prompts[low : low + size]
        seeds = [torch.Generator().manual_seed(low + i) for i in range(len(part))]
        options = {"num_inference_steps": a.steps, "guidance_scale": 5.0, "generator": seeds}
        made.extend(pipeline(part, **options).images)

    size, wanted = 1, size
    draw(0)
    first = time.time() - a.started
    begun, size = time.time(), wanted
    if a.pictures > 1:
        for low in range(0, a.pictures, size):
            draw(low)
    return first, time.time() - begun, made


def worker(a):
    """One measurement; its last line is JSON."""
    first, seconds, made = (draw_ours if a.way == "ours" else draw_plain)(a)
    if a.output:
        for index, picture in enumerate(made):
            Path(a.output).mkdir(parents=True, exist_ok=True)
            picture.save(Path(a.output) / f"{a.way.replace(', ', '-')}-{index:02d}.png")
    print(json.dumps({"first": first, "seconds": seconds}))


def measure(a, way, pictures):
    """Run a worker in a fresh process."""
    options = {**vars(a), "way": way, "pictures": pictures, "started": time.time()}
    done = subprocess.run(
        [sys.executable, __file__, "--worker", json.dumps(options)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Measure all ways in turns and print the table."""
    from bunny.training.family import folder

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", default=str(folder.TOY_FOLDER))
    parser.add_argument("--adapter", default="")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "fp16", "bf16"])
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", default="", help="folder for the pictures")
    parser.add_argument("--scratch", default="", help="folder for the adapter that is made")
    a = parser.parse_args()
    if not a.adapter:
        a.adapter = str(Path(a.scratch or ".").resolve() / "bench_lora.safetensors")
        make_adapter(a.base, Path(a.adapter), a.rank)
    found = {way: {"first": [], "rate": []} for way in WAYS}
    for _ in range(a.repeats):
        for way in WAYS:
            measured = measure(a, way, a.pictures)
            found[way]["first"].append(measured["first"])
            found[way]["rate"].append(a.pictures / measured["seconds"])
    print(f"{'':16}{'first picture, s':>18}{'pictures a second':>20}")
    for way, values in found.items():
        first, rate = (statistics.median(values[key]) for key in ("first", "rate"))
        spread = f"{min(values['rate']):.2f}-{max(values['rate']):.2f}"
        print(f"{way:16}{first:18.1f}{rate:20.2f}  ({spread})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(argparse.Namespace(**json.loads(sys.argv[2])))
    else:
        main()
