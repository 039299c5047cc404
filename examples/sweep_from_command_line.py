"""The same sweep from the command line: a file of inputs, a file of results."""

from __future__ import annotations

import json
from pathlib import Path
import runpy
import subprocess
import sys
from tempfile import TemporaryDirectory

from asynctasks.testing import serving


def main(folder: Path, count: int) -> None:
    sweep = runpy.run_path(str(Path(__file__).with_name("parameter_sweep.py")))
    lines = [json.dumps(sweep["instance"](n)) + "\n" for n in range(count)]
    (folder / "instances.jsonl").write_text("".join(lines))

    with serving(parallel=4) as server:
        batch = "batch equalParallelMachineTimeIndexedMIP instances.jsonl"
        options = "--out results.jsonl --journal run.db --limit 20 --report report.html"
        words = [*batch.split(), *options.split(), "--url", server.url, "--quiet"]
        for command in (words, ["batch", "status", "run.db", "--quiet"]):
            print("$ asynctasks", *command, flush=True)
            asynctasks = [sys.executable, "-m", "asynctasks", *command]
            subprocess.run(asynctasks, cwd=folder, check=True)

    results = (folder / "results.jsonl").read_text().splitlines()
    print("the first that ended:", results[0][:60], "...")


if __name__ == "__main__":
    with TemporaryDirectory() as directory:
        main(Path(directory), int((*sys.argv, 500)[1]))
