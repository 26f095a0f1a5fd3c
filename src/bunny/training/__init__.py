"""Fine-tuning: model families, LoRA, the training loop, adapter files."""
