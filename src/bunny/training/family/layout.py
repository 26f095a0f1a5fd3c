"""Which folders and classes a model of each family consists of, as diffusers writes them."""

from __future__ import annotations

from dataclasses import dataclass

MODEL, DIFFUSION = "model", "diffusion_pytorch_model"  # stems of weights by transformers, diffusers


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The parts of one family and the pipelines that draw with them."""

    title: str  # as a sentence names it
    pipeline: str  # diffusers' class; model_index.json names it
    img2img: str
    weights: dict[str, str]  # folder -> stem of its weight files
    configs: tuple[str, ...]  # folders without weights
    optional: frozenset[str] = frozenset()  # folders that a model may lack: SD3 without T5
    unused: tuple[str, ...] = ()  # parts of model_index.json that we do not load

    def parts(self) -> tuple[str, ...]:
        """All folders that are loaded."""
        return (*self.weights, *self.configs)


LAYOUTS = {
    "sd": Layout(
        title="Stable Diffusion 1.x or 2.x",
        pipeline="StableDiffusionPipeline",
        img2img="StableDiffusionImg2ImgPipeline",
        weights={"unet": DIFFUSION, "vae": DIFFUSION, "text_encoder": MODEL},
        configs=("tokenizer", "scheduler"),
        unused=("safety_checker", "feature_extractor", "image_encoder"),
    ),
    "sdxl": Layout(
        title="Stable Diffusion XL",
        pipeline="StableDiffusionXLPipeline",
        img2img="StableDiffusionXLImg2ImgPipeline",
        weights={
            "unet": DIFFUSION,
            "vae": DIFFUSION,
            "text_encoder": MODEL,
            "text_encoder_2": MODEL,
        },
        configs=("tokenizer", "tokenizer_2", "scheduler"),
        unused=("feature_extractor", "image_encoder"),
    ),
    "sd3": Layout(
        title="Stable Diffusion 3",
        pipeline="StableDiffusion3Pipeline",
        img2img="StableDiffusion3Img2ImgPipeline",
        weights={
            "transformer": DIFFUSION,
            "vae": DIFFUSION,
            "text_encoder": MODEL,
            "text_encoder_2": MODEL,
            "text_encoder_3": MODEL,
        },
        configs=("tokenizer", "tokenizer_2", "tokenizer_3", "scheduler"),
        optional=frozenset({"text_encoder_3", "tokenizer_3"}),
        unused=("feature_extractor", "image_encoder"),
    ),
    "flux": Layout(
        title="Flux",
        pipeline="FluxPipeline",
        img2img="FluxImg2ImgPipeline",
        weights={
            "transformer": DIFFUSION,
            "vae": DIFFUSION,
            "text_encoder": MODEL,
            "text_encoder_2": MODEL,
        },
        configs=("tokenizer", "tokenizer_2", "scheduler"),
        unused=("feature_extractor", "image_encoder"),
    ),
}
ALL_PARTS = tuple(sorted({part for layout in LAYOUTS.values() for part in layout.parts()}))
