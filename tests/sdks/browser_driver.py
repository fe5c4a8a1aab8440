"""Plays conformance cases in Chromium, from a page of another origin than the server's. Speaks as all drivers do."""

import json
import sys
import tempfile
from pathlib import Path

from tests.browser.chromium import Chromium
from tests.sdks.site import Site

PAGE = "<!doctype html><script src='/sdk.js'></script><script src='/driver.js' type='module'></script>"


def main() -> None:
    with Site({"/": PAGE}) as site, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        chromium = Chromium(Path(profile))
        try:
            for line in sys.stdin:
                sys.stdout.write(json.dumps(play(chromium, site.url, line)) + "\n")
                sys.stdout.flush()
        finally:
            chromium.close()


def play(chromium: Chromium, url: str, case: str) -> object:
    """Each case in a page of its own, that remembers nothing of the last."""
    chromium.call("Storage.clearDataForOrigin", origin=url, storageTypes="all")
    chromium.open(f"{url}/")
    return chromium.run(f"playCase({case})")


if __name__ == "__main__":
    main()
