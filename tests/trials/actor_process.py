"""An actor for a test to kill: supervises a job given as JSON until it is killed."""

from __future__ import annotations

import json
import sys

from raytao.trials.messages import Job
from raytao.trials.supervisor import Supervisor

if __name__ == "__main__":
    supervisor = Supervisor(preload=(), threads=1)
    supervisor.start(Job.from_json(json.loads(sys.argv[1])))
    while True:
        for event in supervisor.events(timeout=60.0):
            sys.stdout.write(f"{event}\n")
            sys.stdout.flush()
