"""Checks and measurements on an NVIDIA GPU, as timed stages; rehearsed on a CPU."""
