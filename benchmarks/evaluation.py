"""Evaluation: CPU a case, cases a second and start of `stellwerk prompts test` beside promptfoo, inspect_ai and lm_eval.

Each contender tests the same additions against an endpoint on loopback that answers a known share of them right, by turns, in
processes of its own. First without latency, on few and on many cases: the difference is what a case costs, the rest is the
start. Then with answers that take 200 ms. The best of all rounds counts, for what disturbs only slows down. A contender whose
share of right answers is not what the endpoint knows fails the benchmark; so does a target that is missed. What is not ours is
installed below build/peers on first use.

    python -m benchmarks evaluation [rounds, default 2] [cases of a long test with the simulated model, default 0]
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.evaluating import contenders, task
from benchmarks.evaluating.contenders import Contender, Round
from benchmarks.evaluating.server import Seen, served
from benchmarks.tree import Usage, measure

MB = 1e6
FEW, MANY, QUICK_AT_ONCE = 100, 1100, 32
SLOW, SLOW_CASES, SLOW_AT_ONCE = 0.2, 600, 64
HELPS = 10
OURS = "stellwerk"


@dataclass(frozen=True)
class Tested:
    """One test that a contender did."""

    cases: int
    used: Usage
    seen: Seen

    @property
    def rate(self) -> float:
        """Cases a second while the endpoint was asked, from its first call to its last answer."""
        return self.cases / self.seen.seconds


@dataclass(frozen=True)
class Line:
    """What was measured of a contender.

    Attributes:
        case: CPU milliseconds that one more case costs.
        doubt: half of the range over the single tests.
        start: CPU seconds without cases.
        quick: cases a second without latency.
        pss: peak memory in bytes, with many cases.
        slow: cases a second at 200 ms.
        flying: calls in flight at 200 ms.
        whole: seconds of the whole command at 200 ms.
    """

    name: str
    case: float
    doubt: float
    start: float
    quick: float
    pss: float
    slow: float
    flying: int
    whole: float


class Disagreement(RuntimeError):
    """A contender counts other right answers than the endpoint gave."""


def run(contender: Contender, place: Path, cases: int, at_once: int, delay: float) -> Tested:
    """Let a contender test.

    Args:
        contender: to be asked.
        place: holds the homes of all.
        cases: how many.
        at_once: calls in flight.
        delay: seconds that an answer takes.

    Raises:
        Disagreement: it asked other cases, or counts otherwise than the endpoint.
        RuntimeError: its command failed.
    """
    home, folder = place / f"home of {contender.name}", place / "round"
    home.mkdir(exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with served(delay) as endpoint:
        given = Round(folder, home, cases, at_once, endpoint.base)
        log = place / "log"
        command = contender.command(given)
        used = measure(command, log, folder=folder, environment=given.environment, fine=contender.fine)
        seen = endpoint.seen()
        share = contender.share(given, log.read_text())
    if seen.calls != cases or abs(share - seen.right / cases) > 1e-9:
        said = f"{contender.name} says that {share:.4f} of {cases} are right"
        raise Disagreement(f"{said}; the endpoint answered {seen.right} of {seen.calls} calls right")
    return Tested(cases, used, seen)


def rounds(asked: Sequence[Contender], place: Path, count: int) -> dict[tuple[str, str], list[Tested]]:
    """All tests of all contenders, by turns; by name and part. Few and many cases follow each other, for they are compared."""
    found: dict[tuple[str, str], list[Tested]] = {}
    quick = [("few", FEW, QUICK_AT_ONCE, 0.0), ("many", MANY, QUICK_AT_ONCE, 0.0)]
    slow = [("slow", SLOW_CASES, SLOW_AT_ONCE, SLOW)]
    for number in range(1, count + 1):
        for title, parts in (("no latency", quick), ("200 ms", slow)):
            print(f"  round {number}, {title}: load {os.getloadavg()[0]:.1f}; CPU s", end="", flush=True)
            for contender in asked:
                times = contender.times if parts is quick else 1
                for part, cases, at_once, delay in parts * times:
                    done = run(contender, place, cases, at_once, delay)
                    found.setdefault((contender.name, part), []).append(done)
                used = " to ".join(f"{found[contender.name, part][-1].used.cpu:.1f}" for part, *_ in parts)
                print(f"; {contender.name} {used}", end="", flush=True)
            print()
    return found


def line(name: str, found: dict[tuple[str, str], list[Tested]]) -> Line:
    """What the tests of a contender say together: the median of CPU times, the best of what other work on the machine slows."""
    few, many, slow = (found[name, part] for part in ("few", "many", "slow"))
    more = [(most.used.cpu - least.used.cpu) / (MANY - FEW) for least, most in zip(few, many, strict=True)]
    case = statistics.median(more)
    return Line(
        name,
        1000 * case,
        1000 * (max(more) - min(more)) / 2,
        statistics.median(done.used.cpu for done in few) - FEW * case,
        max(done.rate for done in many),
        min(done.used.pss for done in many),
        max(done.rate for done in slow),
        max(done.seen.most for done in slow),
        min(done.used.wall for done in slow),
    )


def table(lines: Sequence[Line], asked: Sequence[Contender], found: dict[tuple[str, str], list[Tested]]) -> None:
    """Print what was measured, and how many times ours the others need."""
    ours = next(each for each in lines if each.name == OURS)
    print(f"\n  {'':44} no latency, {QUICK_AT_ONCE} at once{'':12} 200 ms, {SLOW_AT_ONCE} at once, {SLOW_CASES} cases")
    heads = f"{'CPU ms/case':>13} {'cases/s':>8} {'start CPU s':>11} {'MB PSS':>7} {'cases/s':>8} {'in flight':>9} {'s':>6}"
    print(f"  {'':28} {heads}  CPU, time of {OURS} = 1")
    for each, contender in zip(lines, asked, strict=True):
        name = f"{each.name} {contender.version}"
        quick = f"{each.case:6.2f} ±{each.doubt:5.2f} {each.quick:8.0f} {each.start:11.2f} {each.pss / MB:7.0f}"
        slow = f"{each.slow:8.1f} {each.flying:9} {each.whole:6.1f}"
        print(f"  {name:28} {quick} {slow}  {each.case / ours.case:5.1f} {ours.slow / each.slow:5.1f}")
    for contender in asked:
        if contender.note:
            print(f"  {contender.name}: {contender.note}")
        outside = {
            place for part in ("few", "many", "slow") for done in found[contender.name, part] for place in done.seen.refused
        }
        if outside:
            print(f"  {contender.name} wanted to reach, which was refused: {', '.join(sorted(outside))}")


def missed(lines: Sequence[Line], help_cpu: float) -> list[str]:
    """The targets that were not reached, in words."""
    known = {each.name: each for each in lines}
    ours = known[OURS]
    targets: list[tuple[bool, str]] = [
        (ours.case <= 3, f"CPU a case is {ours.case:.2f} ms, expected 3 at most"),
        (ours.slow >= 220, f"cases a second at 200 ms are {ours.slow:.0f}, expected 220 at least"),
        (ours.flying == SLOW_AT_ONCE, f"calls in flight are {ours.flying}, expected {SLOW_AT_ONCE}"),
        (ours.whole <= 6, f"{SLOW_CASES} cases at 200 ms take {ours.whole:.1f} s in all, expected 6 at most"),
        (help_cpu < 0.3, f"stellwerk --help takes {help_cpu:.2f} CPU s, expected less than 0.3"),
    ]
    for name, times in (("promptfoo", 5), ("inspect_ai", 8)):
        if name in known:
            ratio = known[name].case / ours.case
            targets.append((ratio >= times, f"{name} needs {ratio:.1f} times the CPU a case, expected {times} at least"))
    return [said for good, said in targets if not good]


def helped(place: Path) -> float:
    """CPU seconds of `stellwerk --help`, the best of some."""
    command = [str(Path(sys.executable).parent / "stellwerk"), "--help"]
    return min(measure(command, place / "log").cpu for _ in range(HELPS))


def long(place: Path, cases: int) -> None:
    """Test many cases, streamed, with the simulated model."""
    from stellwerk.workspace import Workspace

    folder = place / "long"
    Workspace.init(folder)
    task.lines(cases, folder / "cases.jsonl")
    (folder / "prompts").mkdir()
    (folder / "prompts/sums.prompty").write_text(contenders.PROMPT)
    contenders.written({"simulated": {"plan": "sums"}}, folder / "models/tiny.yaml")
    contenders.written(contenders.LISTED, folder / "suites/sums.yaml")
    print(f"\n  {cases} cases with the simulated model: load {os.getloadavg()[0]:.1f} before", flush=True)
    used = measure([*contenders.TEST, "-w", str(folder)], place / "log", fine=(0, 1))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    each = f"{1000 * used.cpu / cases:.2f} CPU ms a case"
    print(f"  {used.wall:.0f} s, {used.cpu:.0f} CPU s ({each}), {used.pss / MB:.0f} MB peak PSS, {size / MB:.0f} MB on disk")


def main(count: int = 2, many: int = 0) -> int:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before it starts")
    chosen = [*contenders.stellwerk(), *contenders.others(), contenders.floor()]
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        found = rounds(chosen, place, count)
        lines = [line(each.name, found) for each in chosen]
        table(lines, chosen, found)
        help_cpu = helped(place)
        print(f"  stellwerk --help: {help_cpu:.2f} CPU s")
        if many:
            long(place, many)
    wrong = missed(lines, help_cpu)
    print(f"\n  missed: {'; '.join(wrong) or 'nothing'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3])))
