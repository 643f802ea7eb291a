"""``superheat-serve``, and its workers, that tell of all that a plant would not have: see ``FORBIDDEN`` and ``audit``."""

import sys

FORBIDDEN = frozenset(
    [
        "cloudpickle",
        "dill",
        "joblib",
        "lightgbm",
        "matplotlib",
        "mlflow",
        "pandas",
        "polars",
        "sklearn",
        "torch",
        "training",
        "experiments",
    ]
)
"""What a serving process may not even try to import."""
HERE = ("127.0.0.1", "::1", "localhost", "::ffff:127.0.0.1")


def audit(event: str, arguments: tuple[object, ...]) -> None:
    """Tell of unpickled names, of heavy imports, and of everything that goes to another machine or asks for its name."""
    what = ""
    if event == "pickle.find_class":
        what = f"{arguments[0]}.{arguments[1]}"
    elif event == "import":
        root = str(arguments[0]).partition(".")[0]
        what = root if root in FORBIDDEN else ""
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        what = "" if _is_here(arguments[1]) else f"{arguments[1]}"
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        what = "" if arguments[0] in (*HERE, None, b"127.0.0.1", b"localhost") else f"{arguments[0]!r}"
    elif event == "urllib.Request":
        what = f"{arguments[0]}"
    if what:
        _say(f'"audit", "what": "{event}", "of": "{what}"')


def _is_here(address: object) -> bool:
    # Anything but an address with a host is a local socket.
    return not isinstance(address, tuple) or address[0] in HERE


def _say(words: str) -> None:
    print(f'{{"event": {words}, "role": "{ROLE}"}}', file=sys.stderr, flush=True)


WORKERS = {"worker": "serving.worker", "advice worker": "serving.advising.worker"}
"""Role -> the module that such a process runs."""
ROLE = sys.argv[1] if sys.argv[1:2] and sys.argv[1] in WORKERS else "service"

if __name__ == "__main__":
    sys.addaudithook(audit)
    _say('"audit began"')
    if ROLE in WORKERS:
        import runpy

        del sys.argv[1]
        runpy.run_module(WORKERS[ROLE], run_name="__main__", alter_sys=True)
    else:
        from serving.models import link

        # Before anything else takes it over as its default.
        link.WORKER = (sys.executable, __file__, "worker")
        from serving.advising import desk

        desk.WORKER = (sys.executable, __file__, "advice worker")
        from serving.command import main

        main()
