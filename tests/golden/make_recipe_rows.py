"""Write recipe_rows.json: the features of a made-up record's last decisions, by this arithmetic.

python -m tests.golden.make_recipe_rows
"""

import json
import math
from pathlib import Path
from typing import Any

from features.recipe import ARITHMETIC, Recipe
from tests.fakes import columns as record

LEVERS = ("set_voltage_v", "alf3_dose_kg_d", "tap_target_kg", "alumina_feed_kg_d")


def golden_rows() -> dict[str, Any]:
    """Return every feature of three cells on the day after forty days, rounded to seven digits; null = NaN."""
    history = record.history(3, 40, seed=20250101)
    table = Recipe.for_signals(history.available(), LEVERS).today(history)
    rows = {
        name: [None if math.isnan(value) else float(f"{value:.7g}") for value in table.column(name).tolist()]
        for name in table.names
    }
    return {"arithmetic": ARITHMETIC, "rows": rows}


if __name__ == "__main__":
    text = json.dumps(golden_rows(), indent=1, sort_keys=True)
    (Path(__file__).parent / "recipe_rows.json").write_text(text + "\n", encoding="utf-8")
