"""Many films: a list of them, and engines that run each in a process of its own."""
