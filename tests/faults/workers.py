"""Runs trials in processes of their own, so that one that hangs, dies or takes all memory is found out and told."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

SPAWN = multiprocessing.get_context("spawn")
STARTING = 120.0  # seconds that imports may take
Prepare = Callable[[], Callable[..., Any]]


class Worker:
    """A process that does one job after another; a new one takes its place when it hangs, dies or grows too large.

    Args:
        prepare: makes, in the process, the function that each job is given to; to be found by its name.
        seconds: that a job may take.
        megabytes: that the process may hold.
    """

    def __init__(self, prepare: Prepare, seconds: float, megabytes: float) -> None:
        self._prepare, self._seconds, self._megabytes = prepare, seconds, megabytes
        self._process: Any = None
        self._pipe: Any = None

    def do(self, job: Sequence[Any]) -> Any:
        """Return what comes of a job, or ``"hang"``, ``"death"`` or ``"memory"``."""
        if self._process is None:
            self._start()
        self._pipe.send(job)
        try:
            if not self._pipe.poll(self._seconds):
                self.stop()
                return "hang"
            outcome, megabytes = self._pipe.recv()
        except (EOFError, ConnectionError):
            self.stop()
            return "death"
        if megabytes > self._megabytes:
            self.stop()
            return "memory"
        return outcome

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
        self._process = None

    def _start(self) -> None:
        self._pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_work, args=(self._prepare, theirs), daemon=True)
        self._process.start()
        theirs.close()
        if not (self._pipe.poll(STARTING) and self._pipe.recv()):
            msg = "A worker could not start."
            raise RuntimeError(msg)


def _work(prepare: Prepare, pipe: Any) -> None:
    trial = prepare()
    pipe.send(True)
    while True:
        pipe.send((trial(*pipe.recv()), _megabytes()))


def _megabytes() -> float:
    """Most memory that this process has held."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run_jobs(
    prepare: Prepare, jobs: Sequence[Sequence[Any]], num_workers: int, seconds: float, megabytes: float
) -> Iterator[Any]:
    """Give what comes of each job, in their order; arguments as :class:`Worker` has them."""
    workers: SimpleQueue[Worker] = SimpleQueue()
    for _ in range(num_workers):
        workers.put(Worker(prepare, seconds, megabytes))

    def run(job: Sequence[Any]) -> Any:
        worker = workers.get()
        try:
            return worker.do(job)
        finally:
            workers.put(worker)

    with ThreadPoolExecutor(num_workers) as pool:
        yield from pool.map(run, jobs)
    for _ in range(num_workers):
        workers.get().stop()
