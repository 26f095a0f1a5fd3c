"""Make the toy base: draw pictures, train the autoencoder, then text encoder and UNet, export.

    python python_script/make_base.py draw
    python -m torch.distributed.run --standalone --nproc-per-node 2 \\
        python_script/make_base.py vae --steps 5000
    ... make_base.py unet --steps 10000                     (again: goes on where it stopped)
    ... make_base.py decoder --steps 2500                   (sharper; may run at any time)
    python python_script/make_base.py export                (to src/bunny/demo/base)
    ... make_base.py restore                 (instead of vae: go on from the exported base)
    python test/bench/bench_toy.py                          (64 prompts, judged; a sheet of them)

Everything lies in checkpoint/toy_base. Two idle cores need two hours. With --compile the training
steps are compiled first: minutes of waiting (once, where TORCHINDUCTOR_CACHE_DIR keeps it), then
half as fast again; it needs a C++ compiler.
"""

import argparse
import json
import logging
from pathlib import Path

import numpy as np
from sample import render
from toy import caption, distributed
from toy import model as toy_model
from toy import unet as toy_unet
from toy import vae as toy_vae

from bunny.demo import world

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "checkpoint" / "toy_base"
EXPORT = ROOT / "src" / "bunny" / "demo" / "base"
logger = logging.getLogger("make_base")


def draw(count: int, seed: int) -> None:
    """Render `count` scenes once; pictures.npy and captions.json."""
    WORK.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    shape = (count, toy_model.PICTURE_PX, toy_model.PICTURE_PX, 3)
    pictures = np.lib.format.open_memmap(WORK / "pictures.npy", "w+", dtype=np.uint8, shape=shape)
    facts = []
    for index in range(count):
        scene = render.random_scene(rng)
        pictures[index] = render.render(scene, toy_model.PICTURE_PX, toy_model.PICTURE_PX)
        facts.append(_facts(scene, pictures[index]))
        if index % 2000 == 0:
            logger.info("%d of %d pictures", index, count)
    pictures.flush()
    (WORK / "facts.json").write_text(json.dumps(facts), encoding="utf-8", newline="\n")


def _facts(scene: world.Scene, picture: np.ndarray) -> dict:
    """What the caption variations are made from."""
    actors = sorted(scene.actors, key=lambda actor: actor.x)
    return {
        "who": [[a.character.colour, a.character.species, a.character.wear] for a in actors],
        "place": world.PLACES[scene.place],
        "size": world.shot_size(scene),
        "light": scene.light,
        "background": caption.background_colours(picture),
    }


def vae(steps: int, is_compiled: bool) -> None:
    """Train the autoencoder and store the latents of all pictures."""
    import torch

    torch.manual_seed(0)
    model = toy_model.make_vae()
    pictures = np.load(WORK / "pictures.npy", mmap_mode="r")
    settings = toy_vae.VaeTraining(steps=steps, is_compiled=is_compiled)
    report = toy_vae.train_vae(model, pictures, WORK, settings)
    latents = _encode(model, pictures)
    if distributed.rank():
        return
    report["scaling_factor"] = float(1 / latents.astype(np.float32).std())
    model.register_to_config(scaling_factor=report["scaling_factor"])
    model.save_pretrained(WORK / "vae")
    np.save(WORK / "latents.npy", latents)
    toy_vae.write_report(WORK / "vae.json", report)
    logger.info("vae: %s", report)


def _encode(model, pictures: np.ndarray) -> np.ndarray:
    """Latents of all pictures; each process makes its part."""
    part = pictures[distributed.share(len(pictures))]
    return distributed.gather(toy_vae.encode_all(model, part))


def restore() -> None:
    """Take the exported base up again: its autoencoder, new latents, its weights."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    model = AutoencoderKL.from_pretrained(EXPORT / "vae").float()
    latents = _encode(model, np.load(WORK / "pictures.npy", mmap_mode="r"))
    if distributed.rank():
        return
    model.save_pretrained(WORK / "vae")
    np.save(WORK / "latents.npy", latents)
    trainer = _trainer(toy_unet.UnetTraining())
    trainer.restart(
        UNet2DConditionModel.from_pretrained(EXPORT / "unet").float(),
        CLIPTextModel.from_pretrained(EXPORT / "text_encoder").float(),
        json.loads((EXPORT / "model_card.json").read_text(encoding="utf-8"))["unet_steps"],
    )
    trainer.save()
    logger.info("restored step %d", trainer.step)


def decoder(steps: int, is_compiled: bool) -> None:
    """Train the decoder alone further; latents and UNet stay as they are."""
    from diffusers import AutoencoderKL

    model = AutoencoderKL.from_pretrained(WORK / "vae")
    pictures = np.load(WORK / "pictures.npy", mmap_mode="r")
    settings = toy_vae.VaeTraining(
        steps=steps,
        learning_rate=1.5e-3,
        is_decoder_only=True,
        seed=1,
        is_compiled=is_compiled,
    )
    report = toy_vae.train_vae(model, pictures, WORK, settings)
    if distributed.rank():
        return
    model.save_pretrained(WORK / "vae")
    toy_vae.write_report(WORK / "decoder.json", report)
    logger.info("decoder: %s", report)


def unet(steps: int, is_compiled: bool) -> None:
    """Train UNet and text encoder; go on where the last run stopped."""
    settings = toy_unet.UnetTraining(steps=steps, is_compiled=is_compiled)
    trainer = _trainer(settings)
    if distributed.rank():
        trainer.train()
        return
    report = trainer.train(lambda t: _draw_sheet(_pipeline(t), WORK / "sheet.png", count=16))
    toy_vae.write_report(WORK / "unet.json", report)
    logger.info("unet: %s", report)


def export() -> None:
    """Write the averaged weights as a Stable Diffusion folder of fp16 safetensors."""
    trainer = _trainer(toy_unet.UnetTraining())
    pipeline = _pipeline(trainer)
    reports = {name: _read_report(name) for name in ("vae", "decoder", "unet")}
    card = {
        "what": "a toy text-to-image model of one cartoon world, 128x128; not for any other use",
        "classes": "Stable Diffusion's: AutoencoderKL, UNet2DConditionModel, CLIPTextModel",
        "licence": "MIT",
        "trained_on": f"{len(trainer.facts)} pictures drawn by bunny.demo.world, no rabbit",
        "prediction": "v_prediction, zero terminal SNR, trailing steps",
        "vae_steps": reports["vae"].get("steps"),
        "decoder_steps": reports["decoder"].get("steps", 0),
        "vae_l1_of_255": reports["decoder"].get("l1", reports["vae"].get("l1")),
        "unet_steps": trainer.step,
        "unet_pictures_seen": trainer.step * trainer.settings.batch_size * 2,
        "unet_loss": reports["unet"].get("loss"),
        "made_by": "python_script/make_base.py",
    }
    parts = {k: getattr(pipeline, k) for k in ("vae", "unet", "text_encoder", "tokenizer")}
    size = toy_model.save_pipeline(EXPORT, **parts, card=card)
    logger.info("%s: %.1f MB at step %d", EXPORT, size / 1e6, trainer.step)


def _trainer(settings: toy_unet.UnetTraining) -> toy_unet.ToyTrainer:
    import torch

    vae_config = json.loads((WORK / "vae" / "config.json").read_text(encoding="utf-8"))
    torch.manual_seed(settings.seed)
    tokenizer = toy_model.write_tokenizer(WORK / "tokenizer")
    return toy_unet.ToyTrainer(
        toy_model.make_unet(),
        toy_model.make_text_encoder(tokenizer),
        np.load(WORK / "latents.npy"),
        json.loads((WORK / "facts.json").read_text(encoding="utf-8")),
        tokenizer,
        scaling_factor=vae_config["scaling_factor"],
        folder=WORK,
        settings=settings,
    )


def _pipeline(trainer: toy_unet.ToyTrainer):
    """The averaged weights as a pipeline."""
    from diffusers import AutoencoderKL, StableDiffusionPipeline

    unet, text_encoder = trainer.averaged()
    return StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(WORK / "vae"),
        unet=unet,
        text_encoder=text_encoder,
        tokenizer=trainer.tokenizer,
        scheduler=toy_model.make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _draw_sheet(pipeline, path: Path, *, count: int) -> None:
    """Draw `count` held-out prompts, 8 a row; the prompts go beside it as text."""
    import torch
    from PIL import Image

    rng = np.random.default_rng(12345)
    prompts = [world.caption(render.random_scene(rng)) for _ in range(count)]
    pipeline.set_progress_bar_config(disable=True)
    drawn = []
    for start in range(0, count, 16):
        generator = torch.Generator().manual_seed(start)
        chunk = prompts[start : start + 16]
        drawn += pipeline(
            chunk, num_inference_steps=20, guidance_scale=4.0, generator=generator
        ).images
    size = toy_model.PICTURE_PX
    canvas = Image.new("RGB", (8 * size, -(-count // 8) * size))
    for index, picture in enumerate(drawn):
        canvas.paste(picture, (index % 8 * size, index // 8 * size))
    canvas.save(path)
    path.with_suffix(".txt").write_text("\n".join(prompts) + "\n", encoding="utf-8", newline="\n")


def _read_report(name: str) -> dict:
    path = WORK / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def main() -> None:
    """Run one step of the making."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("draw", "vae", "restore", "decoder", "unet", "export"))
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile", action="store_true", help="compile the training steps")
    args = parser.parse_args()
    distributed.start()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if args.step == "draw":
        draw(args.count, args.seed)
    elif args.step == "vae":
        vae(args.steps or 5000, args.compile)
    elif args.step == "restore":
        restore()
    elif args.step == "decoder":
        decoder(args.steps or 2500, args.compile)
    elif args.step == "unet":
        unet(args.steps or 10000, args.compile)
    else:
        export()


if __name__ == "__main__":
    main()
