"""How far ``make demo`` is from the floor of ``benchmarks/floor.py``, both measured now.

Two whole searches against six empty trials: the ratio is what raytao and the training add to
Ray. Ends with exit code 1 when it is above ``--limit``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIMIT = 5.0


def demo_seconds() -> float:
    """Run ``make demo`` in this environment, into a folder of its own; return its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["make", "--silent", "demo", f"VENV={sys.prefix}", f"RESULTS={folder}/demo"]
        began = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
        return time.perf_counter() - began


def floor_seconds() -> float:
    """Run the floor in a fresh process; return its seconds."""
    command = [sys.executable, str(ROOT / "benchmarks" / "floor.py")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(printed)["total_s"])


def main() -> None:
    """Measure the demo, then the floor, and print both with their ratio."""
    parser = argparse.ArgumentParser(description="The demo's seconds over the floor's.")
    parser.add_argument("--limit", type=float, default=LIMIT, help="the largest ratio that passes")
    limit = parser.parse_args().limit
    demo, floor = demo_seconds(), floor_seconds()
    ratio = demo / floor
    print(f"{'demo':>8}{'floor':>8}{'ratio':>8}{'limit':>8}")
    print(f"{demo:7.1f}s{floor:7.1f}s{ratio:8.2f}{limit:8.2f}")
    sys.exit(ratio > limit)


if __name__ == "__main__":
    main()
