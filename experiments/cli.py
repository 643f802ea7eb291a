"""The ``superheat`` command."""

import sys

from experiments.exits import guarded


def _application() -> None:
    from experiments.commands import app  # here, so that an absent extra is one clear line and no traceback

    app(prog_name="superheat")


def main() -> None:
    """Run the command line and leave with its exit code: 0 done, 2 bad input, 1 anything else."""
    sys.exit(guarded(_application))


if __name__ == "__main__":
    main()
