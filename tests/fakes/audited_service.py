"""``superheat-serve`` that tells of every unpickled name and of every connection to elsewhere."""

import sys


def audit(event: str, arguments: tuple[object, ...]) -> None:
    if event == "pickle.find_class" or (event == "socket.connect" and not _is_here(arguments[1])):
        print(f'{{"event": "audit", "what": "{event}"}}', file=sys.stderr, flush=True)


def _is_here(address: object) -> bool:
    return not isinstance(address, tuple) or address[0] in ("127.0.0.1", "::1", "localhost")


if __name__ == "__main__":
    print('{"event": "audit began"}', file=sys.stderr, flush=True)
    sys.addaudithook(audit)
    from serving.command import main

    main()
