"""Every error that Superheat raises on purpose.

    SuperheatError
    ├── InputError                  the caller's data or arguments; the command line exits with 2
    │   ├── MappingError            a plant mapping (TOML) is wrong
    │   ├── ContractError           a table breaks the contract as a whole (rows are quarantined instead)
    │   ├── UnitError               a unit is unknown or cannot be converted
    │   ├── UnknownNameError        a signal, lever, outcome, model or experiment that does not exist
    │   └── SettingsError           a setting is missing or out of range
    ├── TargetUnavailableError      the data cannot carry this target; the message says what is missing
    ├── BundleError                 a bundle is refused
    │   ├── BundleCorruptError      a hash, a parity row or a file does not match
    │   ├── BundleForeignError      not a bundle, or of another recipe
    │   └── BundleProtocolError     written by another protocol version
    ├── ExportError                 the exported graph does not reproduce the estimator
    └── SearchError                 no feasible setpoint exists

A message names the thing, shows the value and gives the remedy.
"""


class SuperheatError(Exception):
    """The root: catch it to catch everything that Superheat raises on purpose."""


class InputError(SuperheatError):
    """The caller's data or arguments are wrong."""


class MappingError(InputError):
    """A plant mapping is wrong."""


class ContractError(InputError):
    """A table breaks the contract as a whole."""


class UnitError(InputError):
    """A unit is unknown or cannot be converted."""


class UnknownNameError(InputError):
    """A signal, lever, outcome, model or experiment that does not exist."""


class SettingsError(InputError):
    """A setting is missing or out of range."""


class TargetUnavailableError(SuperheatError):
    """The data cannot carry this target."""


class BundleError(SuperheatError):
    """A bundle is refused."""


class BundleCorruptError(BundleError):
    """A hash, a parity row or a file does not match."""


class BundleForeignError(BundleError):
    """Not a bundle, or one of another recipe."""


class BundleProtocolError(BundleError):
    """Written by another protocol version."""


class ExportError(SuperheatError):
    """The exported graph does not reproduce the estimator."""


class SearchError(SuperheatError):
    """No feasible setpoint exists."""
