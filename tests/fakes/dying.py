"""A worker that ends at once where a row's FEATURE is VALUE; run as a script this is the worker."""

import os
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, str(Path(__file__)))
FEATURE = "cell_voltage_v_last"
VALUE = np.float32(30.01)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from serving.predictor import Floats, Predictor
    from serving.worker import main

    class Dying(Predictor):
        def predict(self, X: NDArray[np.float32]) -> dict[str, Floats]:
            if (X[:, self.manifest.feature_names.index(FEATURE)] == VALUE).any():
                os._exit(1)
            return super().predict(X)

    import serving.worker

    serving.worker.Predictor = Dying  # type: ignore[misc]
    main()
