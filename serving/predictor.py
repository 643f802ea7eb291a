"""A bundle that answers: opened once, verified, proved on its own parity rows, and only then ready.

Nothing is read twice and nothing outside the bundle is read at all. A ``Predictor`` holds one runtime session that
computes in its caller's thread, without locks: it belongs to one worker process, which may be ended at any time.
"""

from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from features.bundle import FEATURES, Manifest, Parity, output_names, read_bundle
from features.bundle.graph import MEMBERS
from features.errors import BundleCorruptError, BundleForeignError, InputError
from features.recipe import Recipe
from serving.graph_check import check_graph

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]

_ROWS_AT_ONCE = 256
"""So many rows, as the trees read them, stay in a core's own cache."""


class Predictor:
    """The verified bundle's answers; make one with :meth:`open`."""

    def __init__(
        self, manifest: Manifest, model: bytes, recipe: Recipe, session: onnxruntime.InferenceSession
    ) -> None:
        """Hold what :meth:`open` has verified."""
        self.manifest = manifest
        self.model = model
        """The verified bytes of ``model.onnx``, for whoever reads the graph itself."""
        self.recipe = recipe
        self._session = session
        self._outputs = output_names(manifest)

    @classmethod
    def open(cls, directory: Path, digest: str | None = None) -> Self:
        """Return a predictor for the bundle in ``directory`` once all of it is proved.

        Args:
            directory: the bundle.
            digest: the bundle that it must be; any, if not given.

        Raises:
            BundleForeignError: not a bundle, another one than ``digest`` names, or made by another recipe.
            BundleProtocolError: written by another version of the format.
            BundleCorruptError: a file does not match, the graph is not one that training writes, or a parity row is
                not reproduced.
        """
        files = read_bundle(directory)
        manifest = files.manifest
        if digest is not None and manifest.digest != digest:
            raise BundleForeignError(
                f"{directory.name} is bundle {manifest.digest[:12]}..., {digest[:12]}... was asked for;"
                " open the one that was approved"
            )
        recipe = _running_recipe(manifest)
        check_graph(files.model, manifest)
        predictor = cls(manifest, files.model, recipe, _session(files.model, manifest))
        predictor._replay(files.parity)
        return predictor

    @property
    def digest(self) -> str:
        """The bundle's identity."""
        return self.manifest.digest

    def predict(self, X: Rows) -> dict[str, Floats]:
        """Return every output by name for recipe rows ``X`` (n, d) float32: (n,), members (n, m), all float64.

        A row's answer is the same, to the last bit, alone and beside any others. NaN = not known. Ranges and missing values are the caller's to judge, by the manifest's features.

        Raises:
            InputError: X is not (n, d) float32.
        """
        width = len(self.manifest.features)
        if X.dtype != np.float32 or X.ndim != 2 or X.shape[1] != width:
            raise InputError(
                f"bundle {self.manifest.name} takes (n, {width}) float32 rows, not {X.shape} {X.dtype}"
            )
        if not len(X):
            return {name: np.empty(self._shape_of_none(name)) for name in self._outputs}
        parts = [
            self._session.run(self._outputs, {FEATURES: X[start : start + _ROWS_AT_ONCE]})
            for start in range(0, len(X), _ROWS_AT_ONCE)
        ]
        answers = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
        return dict(zip(self._outputs, answers, strict=True))

    def _shape_of_none(self, output: str) -> tuple[int, ...]:
        if not output.endswith(MEMBERS):
            return (0,)
        return (0, self.manifest.outcome(output.removesuffix(MEMBERS)).members)

    def _replay(self, content: bytes) -> None:
        """Refuse a graph that does not answer the stored rows as the trained estimators did."""
        try:
            parity = Parity.from_bytes(content)
            broken = parity.broken(self.predict(parity.features))
        except (ValueError, InputError) as error:
            raise BundleCorruptError(
                f"parity rows of bundle {self.manifest.name} do not fit it: {error}"
            ) from error
        except _RUNTIME_ERRORS as error:
            raise BundleCorruptError(
                f"bundle {self.manifest.name} cannot answer its parity rows: {error}"
            ) from error
        if broken:
            told = "; ".join(f"{name} on rows {rows[:5].tolist()}" for name, rows in broken.items())
            raise BundleCorruptError(
                f"bundle {self.manifest.name} does not reproduce its parity rows ({told}); this runtime computes it"
                " differently: do not serve it"
            )


_RUNTIME_ERRORS: tuple[type[Exception], ...] = tuple(
    kind
    for kind in vars(onnxruntime.capi.onnxruntime_pybind11_state).values()
    if isinstance(kind, type) and issubclass(kind, Exception)
)
"""The runtime's errors share no root of their own."""
_LOADING_ERRORS: tuple[type[Exception], ...] = (*_RUNTIME_ERRORS, ValueError)
"""A damaged name makes a message that is no text, which Python refuses as a ``UnicodeDecodeError``."""


def _running_recipe(manifest: Manifest) -> Recipe:
    recipe = Recipe.from_description(manifest.recipe.description)
    if recipe.digest != manifest.recipe.digest:
        raise BundleForeignError(
            f"bundle {manifest.name} was made by recipe {manifest.recipe.digest[:12]}..., this code makes features"
            f" by {recipe.digest[:12]}...; train again"
        )
    if recipe.names != manifest.feature_names or recipe.lever_columns != manifest.lever_columns:
        raise BundleForeignError(
            f"bundle {manifest.name} lists other features or levers than its recipe makes"
        )
    return recipe


def _session(model: bytes, manifest: Manifest) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except _LOADING_ERRORS as error:
        raise BundleCorruptError(f"model.onnx of bundle {manifest.name} cannot be loaded: {error}") from error
