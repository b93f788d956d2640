"""``python -m raytao``: the command line where no script is on the path."""

from __future__ import annotations

from raytao.cli.main import main

if __name__ == "__main__":
    main(prog_name="raytao")
