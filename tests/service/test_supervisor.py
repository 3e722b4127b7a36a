import signal
from pathlib import Path

from service.server import open_listener
from service.settings import Settings
from service.supervisor import Supervisor


def test_no_worker_is_started_once_all_are_to_stop(tmp_path: Path) -> None:
    """A signal may come while a dead worker is waited for, and nobody would tell the new one."""
    settings = Settings(models_dir=tmp_path, device="cpu", workers=2)
    with open_listener("127.0.0.1", 0) as listener:
        supervisor = Supervisor(settings, listener)
        supervisor.stop(signal.SIGTERM, None)
        assert supervisor.run() == 0  # a worker would end with 1: there are no models
