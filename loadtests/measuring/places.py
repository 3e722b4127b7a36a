"""Folders of this repository that the programs read from and write to."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "loadtests" / "results"
MODELS_DIR = ROOT / "models" / "repository"
