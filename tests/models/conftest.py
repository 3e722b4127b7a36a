"""Fixtures of all tests of training."""

from tests.models.tiny_runs import samples, tiny_config, tiny_run

__all__ = ["samples", "tiny_config", "tiny_run"]
