"""The training set, the base model, LoRA, drawing."""
