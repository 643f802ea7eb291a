"""The graph's border: what goes in, what comes out, and which operators may stand between."""

from collections.abc import Iterator, Mapping
from typing import Final

from features.bundle.manifest import Manifest, OutcomeInfo

FEATURES: Final = "features"
"""The one input: (n, d) float32."""
DESIGN: Final = "design"
"""The design matrix (n, z) float64 inside the graph: what every estimator reads."""
SIDES: Final = "sides"
"""The design matrix as trees read it, (n, 4 z): as it is; missing as -inf; its negative; that, missing as -inf."""
SIDES_PER_COLUMN: Final = 4
SUPPORT: Final = "support"
LOWER: Final = ".lower"
UPPER: Final = ".upper"
MEMBERS: Final = ".members"

ML: Final = "ai.onnx.ml"
OPSETS: Final[Mapping[str, int]] = {"ai.onnx": 21, ML: 5}
IR_VERSION: Final = 10
"""ONNX file version that belongs to opset 21."""

OPERATORS: Final = frozenset(
    {
        ("", "Add"),
        ("", "ArgMin"),
        ("", "Cast"),
        ("", "Concat"),
        ("", "Div"),
        ("", "Expand"),
        ("", "Gather"),
        ("", "GreaterOrEqual"),
        ("", "Identity"),
        ("", "IsNaN"),
        ("", "MatMul"),
        ("", "Max"),
        ("", "Min"),
        ("", "Mul"),
        ("", "Neg"),
        ("", "ReduceL2"),
        ("", "ReduceMean"),
        ("", "ReduceMin"),
        ("", "Relu"),
        ("", "Reshape"),
        ("", "Shape"),
        ("", "Split"),
        ("", "Squeeze"),
        ("", "Sub"),
        ("", "Transpose"),
        ("", "Unsqueeze"),
        ("", "Where"),
        (ML, "TreeEnsemble"),
    }
)
"""(domain, operator): what training writes, or once wrote, and serving admits; no control flow, so that no row can run
for ever."""


def output_names(manifest: Manifest) -> tuple[str, ...]:
    """Return the graph's outputs in order: per outcome mean, lower, upper (and members), then ``support``."""
    return (*(name for outcome in manifest.outcomes for name in _of(outcome)), SUPPORT)


def _of(outcome: OutcomeInfo) -> Iterator[str]:
    yield outcome.name
    yield outcome.name + LOWER
    yield outcome.name + UPPER
    if outcome.has_members:
        yield outcome.name + MEMBERS
