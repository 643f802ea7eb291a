"""The options that several commands share, each described once."""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

DEFAULT_DATA: Final = Path("data_samples")
DEFAULT_OUT: Final = Path("runs/latest")

Data = Annotated[
    Path,
    typer.Option(
        help="The plant's record: a canonical directory, or its own file or folder (with --mapping).",
        show_default=True,
    ),
]
Mapping = Annotated[
    Path | None,
    typer.Option(help="How the plant's own files read (TOML); not needed for a canonical directory."),
]
Seed = Annotated[int, typer.Option(help="Everything random follows from it.", min=0)]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        help="MLflow store; without it a SQLite file beside the runs.", envvar="SUPERHEAT_TRACKING_URI"
    ),
]
Quick = Annotated[
    bool, typer.Option("--quick", help="Small models in seconds: to check the machinery, never to act on.")
]
Levers = Annotated[
    list[str] | None,
    typer.Option(
        "--lever", help="A setpoint that may be moved; again for more. Default: all the record supports."
    ),
]
Json = Annotated[
    Path | None, typer.Option("--json", help="Write the table there too, with units and provenance.")
]


def console() -> Console:
    """Return where a command speaks; wide enough in a log that tables keep their lines."""
    shown = Console()
    return shown if shown.is_terminal else Console(width=140)
