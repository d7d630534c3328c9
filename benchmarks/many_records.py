"""How long a source of millions of records takes to open, and what it holds in memory.

    python benchmarks/many_records.py [--records 5000000] [--json FILE]

Writes that many made-up records as JSON lines (no picture is opened). The first opening makes the table of records in a
cache folder of its own; then one process opens it, and four do at once, each reading some thousand captions at random.
Resident memory is what a process has more than after its imports; `own` is the part that no other process shares.
Six minutes on two cores; Linux alone says what is resident.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

READ = 20_000


def resident() -> tuple[int, int]:
    """Bytes of this process that are resident, and those that are its own."""
    with open("/proc/self/smaps_rollup", encoding="utf-8") as file:
        held = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in file if line.endswith("kB\n")}
    return held["Rss"], held["Private_Clean"] + held["Private_Dirty"]


def opening(manifest: str) -> None:
    """One process: prints seconds and bytes."""
    import time

    from vlobj_data.captions.captions import Captions

    before = resident()
    start = time.perf_counter()
    source = Captions(Captions.Config(manifest=manifest))
    taken = time.perf_counter() - start
    count = source.size("train")
    for number in random.Random(os.getpid()).sample(range(count), min(READ, count)):
        source.value("train", number, "caption", 0, 0)
    after = resident()
    print(json.dumps([taken, after[0] - before[0], after[1] - before[1]]))


def together(manifest: Path, processes: int) -> list[list[float]]:
    command = [sys.executable, __file__, "--open", str(manifest)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") for _ in range(processes)]
    return [json.loads(one.communicate()[0]) for one in started]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=5_000_000)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--open", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.open:
        opening(asked.open)
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VLOBJ_CACHE"] = f"{folder}/cache"
        manifest = Path(folder) / "records.jsonl"
        with manifest.open("w", encoding="utf-8") as file:
            for number in range(asked.records):
                row = {"image": f"images/{number:07d}.jpg", "caption": f"a picture of thing number {number} on a table"}
                file.write(json.dumps(row) + "\n")
        rows = [
            {"what": what, "processes": count, "seconds": max(one[0] for one in found)}
            | {name: max(one[at] for one in found) / asked.records for at, name in ((1, "resident"), (2, "own"))}
            for what, count in (("made", 1), ("opened", 1), ("opened", 4))
            for found in [together(manifest, count)]
        ]
        table = next(Path(folder, "cache").rglob("*.table"), None)
        size = (
            f"{table.stat().st_size / asked.records:.0f} bytes a record on disk"
            if table
            else "none: so few are not kept"
        )
    print(f"{asked.records:,} records, {size}; resident and own: bytes a record, the most of the processes")
    for row in rows:
        print(
            f"{row['what']:8} {row['processes']} processes  {row['seconds']:7.2f} s  resident {row['resident']:7.1f}"
            f"  own {row['own']:7.1f}"
        )
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
