"""An event loop for whoever is not on one: in a thread of its own."""

import asyncio
import threading


def beside(name: str) -> asyncio.AbstractEventLoop:
    """A loop that runs in a new thread of that name until it is stopped; then it is closed."""
    loop = asyncio.new_event_loop()

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.close()

    threading.Thread(target=run, name=name, daemon=True).start()
    return loop
