"""The commands, one module for each kind; every one is thin and imports its work when it is called."""

import typer

from experiments.commands import (
    advice,
    allocate,
    bench,
    confounding,
    data,
    doctor,
    experiments,
    models,
    run,
)

app = typer.Typer(
    name="superheat",
    help="Setpoints that spend less energy and anode carbon per tonne of aluminium.\n\n"
    "Exit codes: 0 done, 2 bad input (named), 1 anything else.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(run.run)
app.command("ingest")(data.ingest)
app.command("simulate")(data.simulate)
app.command("train")(models.train)
app.command("tune")(models.tune)
app.command("compare")(models.compare)
app.command("export")(models.export)
app.command("recommend")(advice.recommend)
app.command("allocate")(allocate.allocate)
app.command("confounding")(confounding.confounding)
app.command("doctor")(doctor.doctor)
app.command("closed-loop")(experiments.closed_loop)
app.add_typer(experiments.app, name="experiment")
app.add_typer(bench.app, name="bench")
