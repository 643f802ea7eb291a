"""A bundle on disk whose best move is planted, and a service that advises by it."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from tests.fakes import fitted
from tests.fakes.advice import LEVELS, fitted_model
from training.export import Label, write_bundle

SAVES = 4000.0
"""kWh/t that a volt less saves, for every member: the best move is as far down as window and day's steps allow."""


@cache
def advising_bundle(saves: float = SAVES, half_width: float = 1.0) -> Path:
    """The directory of the bundle: energy falls with the voltage, and with nothing else.

    ``half_width``: of every interval, in units of the outcome's level; as wide as it is, whatever a line does lies inside.
    """
    where = Path(mkdtemp(prefix="superheat-advice-")) / "bundle"
    model = fitted_model(
        {"energy_kwh_per_t": {"set_voltage_v": [lambda moves: saves * moves]}},
        half_widths={name: half_width * level for name, level in LEVELS.items()},
    )
    write_bundle(model, where, fitted.rows(120, seed=1), Label(name="potline"))
    return where
