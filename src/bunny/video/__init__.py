"""Films: probe, decode, shots, keyframes."""
