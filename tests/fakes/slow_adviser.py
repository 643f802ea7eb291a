"""An advice worker that takes its time over cells called slow-..., and never ends with those called hang-...

Run as a program it is the worker; ``slow_advice_service`` starts a service with it.
"""

import time
from collections.abc import Mapping
from typing import Any

from serving.advising import search
from serving.advising.worker import open_worker
from serving.answering import one_by_one, run

SLOW_S = 0.25


class SlowDesk(search.SearchDesk):
    def advise(self, told: Mapping[str, Any]) -> dict[str, Any]:
        cell = told["context"]["cell_id"]
        if cell.startswith("hang"):
            time.sleep(3600)
        if cell.startswith("slow"):
            time.sleep(SLOW_S)
        return super().advise(told)


if __name__ == "__main__":
    search.SearchDesk = SlowDesk  # type: ignore[misc]
    run(open_worker, one_by_one)
