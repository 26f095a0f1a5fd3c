"""Model families: what differs between Stable Diffusion 1.x/2.x, SDXL, SD3 and Flux."""
