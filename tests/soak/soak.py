"""Everything at once, for minutes: `make soak`.

Eight threads make random calls of all that taut offers for NumPy arrays. Meanwhile another thread
changes the number of threads that a call may use; threads end and others begin; the process forks,
and its children call taut as well; the main thread is interrupted in the midst of long calls, by
handlers that raise, that call taut, and that fork. Each result must have the bits of the one that a
single thread computed before, and memory and threads must be no more at the end than after the
first rounds. What was found is printed, with what to call to see it again; then the exit code is 1.

    python tests/soak/soak.py --seconds 300 --seed 1
"""

import argparse
import faulthandler
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's threads are not what is counted here

import random
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import Counter
from types import FrameType

import process
import taut
from calls import ENTRIES, Call, make_call, make_long_call
from taut import _core

MOST_THREADS = 5  # that a call may use at a time
CHILD_SECONDS = 120  # after which a child hangs
PATIENCE = 300  # seconds beyond what was asked for, after which the process hangs
SLACK = 6 * 2**20  # bytes that the C library and Python keep more of, now and then


class Interrupted(BaseException):
    """What a signal's handler raises, as Ctrl-C's does."""


class Soak:
    """Calls and their results, and all that goes on at the same time."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        # Of each thread its own: a lock could be one that a forked child inherits closed.
        self._counts: dict[int, Counter[str]] = {}
        self.failures: list[str] = []
        self.is_over = False
        # Whether the main thread may be interrupted at the moment; only the main thread writes it.
        self.may_interrupt = False
        taut.set_num_threads(1)
        only = options.only
        numbers = range(options.calls) if only is None else [only] if only >= 0 else []
        self.calls = [make_call(options.seed, i, options.largest) for i in numbers]
        numbers = range(-4, 0) if only is None else [only] if only < 0 else []
        self.long_calls = [make_long_call(options.seed, i, options.vectors) for i in numbers]
        self.expected = {call.index: call.digest() for call in self.calls + self.long_calls}

    @property
    def counts(self) -> Counter[str]:
        """Returns what this thread has done."""
        return self._counts.setdefault(threading.get_ident(), Counter())

    # ---- what is done, by whichever thread -------------------------------------------------------

    def check(self, call: Call, where: str) -> None:
        """Makes a call, and notes a result that is another than before."""
        try:
            found = call.digest()
        except Exception as error:
            found = repr(error)
        self.counts["calls"] += 1
        if found != (expected := self.expected[call.index]):
            self.fail(f"{call.text}\n  {where}: gave {found} and not {expected}", call)

    def fail(self, what: str, call: Call | None = None) -> None:
        options = self.options
        only = "" if call is None else f" --only {call.index}"
        self.failures.append(
            f"{what}\n  again: python tests/soak/soak.py --seed {options.seed} --calls "
            f"{options.calls} --largest {options.largest} --vectors {options.vectors}{only}"
        )
        self.is_over = True

    def fork(self, rng: random.Random, generation: int = 1) -> None:
        """Has a child make some calls, and a child of its own now and then."""
        calls = [rng.choice(self.calls) for _ in range(3)] if self.calls else self.long_calls[:1]
        forks_again = generation == 1 and rng.random() < 0.1
        child = os.fork()
        if child == 0:
            self._be_child(calls, rng if forks_again else None)
        self.counts["forks"] += 1
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == -signal.SIGALRM:
            self.fail(f"a forked child hung, with {' and '.join(call.text for call in calls)}")
        elif code:
            self.fail(f"a forked child ended with {code}; its own words are above")

    def _be_child(self, calls: list[Call], rng: random.Random | None) -> None:
        """Never returns: what goes on in the parent is nothing that this process has."""
        code = 99
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(CHILD_SECONDS)
            self.may_interrupt = False
            self.failures.clear()
            for call in calls:
                self.check(call, "in a forked child")
            if rng is not None:
                self.fork(rng, generation=2)
            if self.failures:
                os.write(2, "\n".join(self.failures).encode() + b"\n")
            code = 1 if self.failures else 0
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)

    # ---- the threads -----------------------------------------------------------------------------

    def call_for_a_while(self, rng: random.Random) -> None:
        """What a thread does in its life."""
        for _ in range(rng.randrange(20, 400)):
            if self.is_over:
                return
            self.check(rng.choice(self.calls), "among other threads")
            if rng.random() < self.options.forks:
                self.fork(rng)

    def disturb(self, rng: random.Random) -> None:
        """Changes the number of threads, lets threads come and go, and sends signals."""
        callers: list[threading.Thread] = []
        main = threading.main_thread().ident
        assert main is not None
        signals = [signal.SIGINT, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2]
        while not self.is_over:
            taut.set_num_threads(rng.randrange(1, MOST_THREADS + 1))
            callers = [caller for caller in callers if caller.is_alive()]
            for _ in range(len(callers), self.options.threads if self.calls else 0):
                own = random.Random(rng.random())
                callers.append(threading.Thread(target=self.call_for_a_while, args=[own]))
                callers[-1].start()
                self.counts["callers"] += 1
            if rng.random() < 0.05:
                number = rng.choice(signals)
                if rng.random() < 0.5:
                    signal.pthread_kill(main, number)
                else:
                    os.kill(os.getpid(), number)  # which any thread may be given
            time.sleep(rng.uniform(0, 0.02))
        for caller in callers:
            caller.join()

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGINT and of the timer."""
        if self.may_interrupt:
            self.may_interrupt = False
            raise Interrupted

    def call_in_handler(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGUSR1 calls taut, maybe in the midst of a call; SIGUSR2's forks."""
        could_interrupt, self.may_interrupt = self.may_interrupt, False
        rng = random.Random(self.counts["handlers"])
        self.counts["handlers"] += 1
        if number == signal.SIGUSR2:
            self.fork(rng)
        elif self.calls:
            self.check(rng.choice(self.calls), "in a signal's handler")
        self.may_interrupt = could_interrupt

    def call_under_interrupts(self, call: Call, rng: random.Random) -> None:
        """Makes a call that may be interrupted anywhere, and then once more in peace."""
        try:
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.001, 0.3))
            self.may_interrupt = True
            self.check(call, "on the main thread")
            self.may_interrupt = False
        except Interrupted:
            self.counts["interrupts"] += 1
            self.check(call, "on the main thread, after an interrupt")
        signal.setitimer(signal.ITIMER_REAL, 0)

    def run_round(self, seconds: float, rng: random.Random) -> process.Usage:
        """Runs all of it for a while; returns what is in use when its threads have ended."""
        self.is_over = False
        disturber = threading.Thread(target=self.disturb, args=[random.Random(rng.random())])
        disturber.start()
        end = time.monotonic() + seconds
        while not self.is_over and time.monotonic() < end:
            is_long = rng.random() < 0.2
            calls = (self.long_calls or self.calls) if is_long else (self.calls or self.long_calls)
            self.call_under_interrupts(rng.choice(calls), rng)
        self.is_over = True
        disturber.join()
        process.wait_for_threads(self.most_threads)
        return process.measure()

    @property
    def most_threads(self) -> int:
        """Of the process, when all callers have ended: the main thread's pool is left.

        GNU's runtime has a pool for each thread that calls; LLVM's keeps one for all.
        """
        callers = 1 if "GNU" in _core.compiler else 1 + self.options.threads
        return self.own_threads + callers * (MOST_THREADS - 1)

    def run(self) -> int:
        """Runs round after round, and returns the exit code."""
        options = self.options
        signal.signal(signal.SIGINT, self.interrupt)
        signal.signal(signal.SIGALRM, self.interrupt)
        signal.signal(signal.SIGUSR1, self.call_in_handler)
        signal.signal(signal.SIGUSR2, self.call_in_handler)
        threading.excepthook = lambda thread: self.fail(f"a thread ended with {thread.exc_value!r}")
        faulthandler.dump_traceback_later(options.seconds + PATIENCE, exit=True)
        rng = random.Random(options.seed)
        rounds = max(5, min(10, round(options.seconds / 10)))
        self.own_threads = process.count_threads()  # the watchdog's among them
        columns = "round", "calls", "forks", "interrupts", "handlers", "callers", "MB", "threads"
        print("".join(f"{column:>12}" for column in columns))
        usages = []
        for number in range(1, rounds + 1):
            usages.append(usage := self.run_round(options.seconds / rounds, rng))
            counts = sum(self._counts.values(), Counter())
            row = [number, *(counts[column] for column in columns[1:6])]
            row += [round(usage.resident / 2**20, 1), usage.threads]
            print("".join(f"{each:>12,}" for each in row), flush=True)
            self.check_flat(usages)
            if self.failures:
                break
        faulthandler.cancel_dump_traceback_later()
        for failure in self.failures:
            print(f"\nFAILED: {failure}")
        if not self.failures:
            print("every result had the bits of the serial ones; memory and threads stayed flat")
        return 1 if self.failures else 0

    def check_flat(self, usages: list[process.Usage]) -> None:
        """Notes it if there is more than after the first two rounds."""
        threads, most = usages[-1].threads, self.most_threads
        if threads > most:
            self.fail(f"{threads} threads were left when all callers had ended, and not {most}")
        grown = usages[-1].resident - max(usage.resident for usage in usages[:2])
        if self.options.checks_memory and grown > SLACK:
            self.fail(f"memory grew by {grown / 2**20:.1f} MB since the second round")


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--seconds", type=float, default=300)
    add("--seed", type=int, default=1, help="what is called, and when")
    add("--threads", type=int, default=8, help="that call at the same time")
    add("--calls", type=int, default=6 * len(ENTRIES), help="how many different ones")
    add("--largest", type=int, default=600_000, help="elements of a call's arrays")
    add("--vectors", type=int, default=3000, help="of a long call")
    add("--forks", type=float, default=0.004, help="per call")
    add("--only", type=int, help="the number of the one call to make")
    add("--no-memory", dest="checks_memory", action="store_false", help="may grow, as under a tool")
    options = parser.parse_args(arguments)
    # Newer Pythons warn of every fork of a process with threads, which this is about.
    warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork")
    process.return_memory_at_once()
    taut.show_config()
    print(f"{options.calls} calls, seed {options.seed}, {options.threads} threads", flush=True)
    return Soak(options).run()


if __name__ == "__main__":
    sys.exit(main())
