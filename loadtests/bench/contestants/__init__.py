"""The servers that the benchmark compares, and how they are started."""
