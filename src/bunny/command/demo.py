"""`bunny demo`: every stage on the embedded sample film, with settings of its own."""

# The demo's own choices, kept with its film so that every command knows them; --set wins.
SETTINGS = (
    "models.characters=[bunny]",
    "extraction.extra_interval_seconds=0.5",
    "clip.preset=wan",
    "models.training_steps=400",
    "models.batch_size=8",
    "models.learning_rate=0.001",
    "models.checkpoint_every=200",
    # the film never shows the bunny on a mountain, in a street or in the desert
    'generation.prompts=["{trigger} on a mountain, medium shot, day",'
    '"{trigger} in a city street, close-up, day","{trigger} in a desert, medium shot, day",'
    '"{trigger} on a mountain, close-up, dusk"]',
    "generation.seeds=[1,2,3]",
    "captioning.has_background_colours=true",  # as the captions that the toy base was trained on
    "captioning.has_sides=false",  # which those do not say
    "generation.guidance_scale=2.5",  # the toy base frays at more
    "generation.lora_strength=1.2",
    "evaluation.guidance_scale=2.5",
    'evaluation.report_prompts=["{trigger} in a desert, close-up, day",'
    '"{trigger} in a city street, medium shot, day","{trigger} on a mountain, close-up, day",'
    '"{trigger} in a desert, medium shot, dusk"]',
    'evaluation.choose_prompts=["{trigger} in a forest, medium shot, day",'
    '"{trigger} in a bedroom, close-up, day","{trigger} on a mountain, medium shot, night"]',
)
