"""``superheat doctor``: what is installed, what is missing, whether the last bundle verifies."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands import options


def doctor(
    run: Annotated[Path, typer.Option(help="The run whose bundle is looked at.")] = options.DEFAULT_OUT,
    sample: Annotated[
        Path, typer.Option(help="The sample whose hashes are compared.")
    ] = options.DEFAULT_DATA,
    tracking_uri: options.TrackingUri = None,
) -> None:
    """Look at the installation, the last bundle, the tracking store and the sample; change nothing.

    Costs a second. Exit code 1 where something is wrong; a missing extra or a bundle not yet made is no fault.
    """
    from experiments.doctor import all_well, examine, show

    checks = examine(run, sample, tracking_uri)
    show(checks, options.console())
    if not all_well(checks):
        raise typer.Exit(1)
