"""The committed sample: a seeded record of the virtual line, its datasheet and its hashes.

    python -m experiments.simulator.samples [DIRECTORY]

writes ``data_samples/`` again; the tables come out equal to the recorded precision.
"""

import argparse
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pyarrow.parquet

from experiments.simulator.simulate import Simulated, simulate
from features.layout import TABLES
from features.signals import SIGNALS
from features.tables.store import Tables, read_tables, write_tables

PRESET: Final = "line-500"
CELLS: Final = 30
DAYS: Final = 400
SEED: Final = 7
LIMIT_BYTES: Final = 10_000_000

_HEAD = """# Sample data: SIMULATED

**Everything in this directory is simulated.** No row of any plant's data is in it. The virtual potline
of `experiments/simulator` wrote it, because no plant publishes anode consumption cell by cell. Every page and plot
that shows it must say so (`simulated = true` in `plant.toml`).

| | |
|---|---|
| made by | `python -m experiments.simulator.samples` (preset `{preset}`, {cells} cells, {days} days, seed {seed}) |
| first day | {start} (plant-local days, time zone {timezone}; times in the tables are UTC) |
| licence | that of this repository |
| integrity | `SHA256SUMS`; a test simulates the first weeks again and compares them value by value |

## How it was made

{cells} cells in one line under one current (nominal {current:.0f} kA). Each cell carries bath and wall temperature,
ledge, bath mass and salts, dissolved and undissolved alumina, metal, anode-cathode distance, carbon dust and 48
anodes through steps of 15 minutes; a nine-box policy with human scatter acts on what is measured; instruments add bias and
noise and round as a plant writes (levels to 10 mm, temperature to 1 degC, voltage to 1 mV, tap to 10 kg). The
constants, each with its source, are in `experiments/simulator/presets/{preset}.toml`. About a quarter of the cells
are damaged and run with deep metal and more voltage; some stop, are relined and start again during the record, and
have no rows while they stand.

## Tables

"""

_TAIL = """
## Known limits

- The line is credible in its means, spreads, autocorrelations and signs (`superheat simulate --credibility` prints the
  comparison, with what falls outside), not in any one number: it is no model of a particular plant.
- The sensitivities are choices within published ranges (voltage, AlF3, metal and feed against efficiency, distance
  against noise). A saving shown on these data is a statement about methods, not about a smelter.
- Lining chemistry, crust, cavity shape, magnetics and anode-by-anode currents are lumped or absent; an anode effect
  is a rate, not a mechanism; metal and bath have one temperature.
- The liquidus and the conductivity of the simulation are not those that the features assume, and one effect is in no
  table: carbon dust in the bath.
- A butt is weighed a day after its removal, so the last day's butts are empty; about one in a thousand never is.
- The random numbers are NumPy's Philox generator with its normal sampler: another major version of NumPy may draw others.
"""


def sample() -> Simulated:
    """Simulate the committed sample."""
    return simulate(PRESET, CELLS, DAYS, SEED)


def write_sample(directory: str | Path) -> Path:
    """Write the sample, its datasheet and its hashes into ``directory`` and return it.

    Raises:
        ValueError: the files are larger than a repository should carry.
    """
    folder = write_tables(sample().tables, directory)
    _shrink(folder)
    (folder / "README.md").write_text(datasheet(read_tables(folder)), encoding="utf-8")
    names = sorted(p.name for p in folder.iterdir() if p.is_file() and p.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}" for name in names]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n", encoding="utf-8")
    size = sum((folder / name).stat().st_size for name in names)
    if size > LIMIT_BYTES:
        raise ValueError(
            f"the sample has {size} bytes, more than {LIMIT_BYTES}; simulate fewer cells or days"
        )
    return folder


def _shrink(folder: Path) -> None:
    """Write each table again with dictionary pages and strong compression."""
    for path in sorted(folder.glob("*.parquet")):
        table = pyarrow.parquet.read_table(path)
        pyarrow.parquet.write_table(table, path, compression="zstd", compression_level=12)


def datasheet(tables: Tables) -> str:
    """Return the datasheet of ``tables`` in Markdown."""
    plant = tables.plant
    start = str(tables.cell_days["date"].min().date())
    head = _HEAD.format(
        preset=PRESET,
        cells=CELLS,
        days=DAYS,
        seed=SEED,
        start=start,
        timezone=plant.timezone,
        current=plant.line_current_ka,
    )
    return head + "\n".join(_table_section(name, tables) for name in TABLES) + _TAIL


def _table_section(name: str, tables: Tables) -> str:
    frame = dict(tables.present())[name]
    layout = TABLES[name]
    lines = [
        f"### {name}: {len(frame)} rows, one a {', '.join(layout.key)}",
        "",
        "| column | unit | meaning |",
        "|---|---|---|",
    ]
    lines += [f"| {row} |" for row in _column_rows(list(frame.columns))]
    return "\n".join(lines) + "\n"


def _column_rows(columns: Iterable[str]) -> list[str]:
    plain = {
        "line_id": "- | the line",
        "cell_id": "- | the cell",
        "date": "day | plant-local day",
        "time": "UTC | when it was tapped",
        "sampled_at": "UTC | when it was sampled",
        "reported_at": "UTC | when the laboratory reported",
        "position": "- | the anode's place in the cell",
        "anode_lot": "- | the anode's lot (`lots`, material anode)",
        "set_at": "UTC | when it was set",
        "removed_at": "UTC | when it was removed; empty while it is in",
        "material": "- | anode or alumina",
        "lot_id": "- | the lot",
        "used_from": "UTC | from when it was used",
    }
    return [
        f"{name} | {plain[name]}"
        if name in plain
        else f"{name} | {SIGNALS[name].unit} | {SIGNALS[name].meaning}"
        for name in columns
    ]


def main() -> None:
    """Write the sample from the command line."""
    parser = argparse.ArgumentParser(description="Write the simulated sample data again.")
    parser.add_argument(
        "directory", nargs="?", default="data_samples", help="where to (default data_samples)"
    )
    folder = write_sample(parser.parse_args().directory)
    print(f"wrote {folder}: {sum(p.stat().st_size for p in folder.iterdir()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
