"""``superheat-serve`` whose advice workers are those of ``slow_adviser``."""

import sys

if __name__ == "__main__":
    import serving.service

    serving.service.WORKER = (sys.executable, "-m", "tests.fakes.slow_adviser")
    from serving.command import main

    main()
