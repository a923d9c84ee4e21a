"""Where units are computed: in this process, in processes of this machine, or on a Dask cluster."""

import importlib
import multiprocessing
import os
import pickle
import queue
import re
import signal
import sys
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from ..errors import CampaignError, MissingFeature
from .plan import PointSetup
from .unit import UnitResult, run_unit
from .version import code_version

_STOP_S: Final = 0.5
_CLUSTER_TIMEOUT_S: Final = 10.0
_ENDED: Final = "a worker process ended; what is done is kept, start the same command again"
_GONE: Final = "the cluster lost a unit or its scheduler; what is done is kept, start the same command again"


@dataclass(frozen=True, slots=True)
class Task:
    """One unit to compute."""

    point: int
    unit: int
    setup: PointSetup
    seed: int
    packets: int


@dataclass(frozen=True, slots=True)
class Done:
    """A unit that has been computed."""

    point: int
    unit: int
    result: UnitResult


class Workers(ABC):
    """Takes tasks, gives results in any order.

    Attributes:
        wanted: tasks that keep everybody busy.
    """

    wanted: int = 1

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Hand over a task."""

    @abstractmethod
    def collect(self) -> list[Done]:
        """Wait for at least one result. Raises CampaignError when a worker is lost."""

    @abstractmethod
    def close(self) -> None:
        """End at once, whatever is still being computed."""


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def make_workers(jobs: int, scheduler: str | None) -> Workers:
    """The workers a user asked for: a cluster, processes, or this process when one job is enough."""
    if scheduler is not None:
        return ClusterWorkers(scheduler)
    return LocalWorkers(jobs) if jobs > 1 else InlineWorkers()


class InlineWorkers(Workers):
    """Computes in this process when asked for results."""

    def __init__(self) -> None:
        self._waiting: list[Task] = []

    def submit(self, task: Task) -> None:
        self._waiting.append(task)

    def collect(self) -> list[Done]:
        task = self._waiting.pop(0)
        return [Done(task.point, task.unit, run_unit(task.setup, task.seed, task.packets))]

    def close(self) -> None:
        self._waiting.clear()


class LocalWorkers(Workers):
    """Processes of this machine; each is sent one task at a time, and another one when it answers.

    Args:
        jobs: how many.
    """

    def __init__(self, jobs: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.wanted = 2 * jobs
        self._waiting: list[Task] = []
        self._idle: list[Connection] = []
        self._busy: dict[Connection, Task] = {}
        self._processes: list[tuple[Any, Connection]] = []
        for _ in range(jobs):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._processes.append((process, ours))
            self._idle.append(ours)

    def submit(self, task: Task) -> None:
        self._waiting.append(task)
        self._hand_out()

    def collect(self) -> list[Done]:
        done: list[Done] = []
        for ready in wait(list(self._busy)):
            assert isinstance(ready, Connection)
            task = self._busy.pop(ready)
            try:
                answer = ready.recv()
            except (EOFError, OSError):
                raise CampaignError(_ENDED) from None
            if isinstance(answer, BaseException):
                raise answer
            done.append(Done(task.point, task.unit, answer))
            self._idle.append(ready)
        self._hand_out()
        return done

    def _hand_out(self) -> None:
        while self._waiting and self._idle:
            connection, task = self._idle.pop(), self._waiting.pop(0)
            try:
                connection.send((task.setup, task.seed, task.packets))
            except OSError:  # it has ended while it had nothing to do
                raise CampaignError(_ENDED) from None
            self._busy[connection] = task

    def close(self) -> None:
        for process, connection in self._processes:
            connection.close()
            process.terminate()
        for process, _ in self._processes:
            process.join(_STOP_S)
            if process.is_alive():
                process.kill()
                process.join(_STOP_S)


def _serve(connection: Connection) -> None:
    """Life of a worker process: it ends with the campaign, even one that was killed, whatever it computes."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the campaign's to handle
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    while True:
        try:
            setup, seed, packets = connection.recv()
        except (EOFError, OSError):
            return
        answer: object
        try:
            answer = run_unit(setup, seed, packets)
        except Exception as error:
            answer = _portable(error)
        try:
            connection.send(answer)
        except OSError:
            return


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _portable(error: Exception) -> Exception:
    """The same error, or its text when it cannot travel."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return CampaignError(f"{type(error).__name__}: {error}")
    return error


def check_address(scheduler: str) -> None:
    """Dask itself takes long to find a fault in an address, and tells it with a traceback. Raises CampaignError."""
    match = re.fullmatch(r"(?:tcp|tls|ws|wss)://(?:[^\s:/\[\]]+|\[[0-9A-Fa-f:.%\w]+\]):([0-9]{1,5})", scheduler)
    if match is None or not 1 <= int(match[1]) <= 65_535:
        raise CampaignError(f"--scheduler: expected tcp://HOST:PORT with a port of 1..65535, got {scheduler!r}")


class ClusterWorkers(Workers):
    """Workers of a Dask cluster; they need this package in the same version.

    Args:
        scheduler: its address, `tcp://host:port`, see `check_address`.
    Raises:
        MissingFeature: dask.distributed is not installed. CampaignError: nobody answers there, or there is no worker.
    """

    def __init__(self, scheduler: str) -> None:
        try:
            distributed: Any = importlib.import_module("distributed")
        except ImportError:
            raise MissingFeature("--scheduler needs dask.distributed: pip install 'osgp-sdr[cluster]'") from None
        _quiet()
        try:
            self._client: Any = distributed.Client(scheduler, timeout=_CLUSTER_TIMEOUT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise CampaignError(f"--scheduler {scheduler}: {str(error) or type(error).__name__}") from None
        threads = sum(self._client.nthreads().values())
        if threads == 0:
            self._client.close()
            raise CampaignError(f"--scheduler {scheduler}: has no worker yet")
        self.wanted = 2 * threads
        self._futures: dict[Any, Task] = {}
        self._ended: queue.Queue[Any] = queue.Queue()

    def submit(self, task: Task) -> None:
        future = self._client.submit(
            run_remote_unit, task.setup, task.seed, task.packets, code_version(), pure=False, retries=3
        )
        self._futures[future] = task
        future.add_done_callback(self._ended.put)

    def collect(self) -> list[Done]:
        while True:
            try:
                future = self._ended.get(timeout=1.0)
                break
            except queue.Empty:
                if self._client.status != "running":
                    raise CampaignError(_GONE) from None
        task = self._futures.pop(future)
        if future.status == "finished":
            return [Done(task.point, task.unit, future.result())]
        error = future.exception() if future.status == "error" else None
        if error is None:
            raise CampaignError(_GONE)
        if isinstance(error, CampaignError):
            raise error
        raise CampaignError(f"unit {task.unit} of point {task.point} failed on the cluster: {type(error).__name__}: {error}")

    def close(self) -> None:
        for future in self._futures:
            future.cancel()
        self._client.close(timeout=_STOP_S)


def run_remote_unit(setup: PointSetup, seed: int, packets: int, version: str) -> UnitResult:
    """`run_unit` on a machine whose code may be another one."""
    if code_version() != version:
        raise CampaignError(f"a worker of the cluster has version {code_version()}, this is {version}")
    return run_unit(setup, seed, packets)


def _quiet() -> None:
    """A lost cluster is told once, by us."""
    import logging

    for name in ("distributed", "tornado.application", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL if not sys.flags.dev_mode else logging.DEBUG)


