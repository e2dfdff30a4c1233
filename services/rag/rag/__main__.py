"""Run one role: `python -m rag api`, or with ROLE in the environment."""

import os
import sys


def main(arguments: list[str]) -> int:
    """Serve until a signal; 2 when the settings are wrong."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read once, by NumPy: each core computes a batch of its own
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import uvicorn

    from rag import app, logs, service
    from rag.leaving import LeavingServer
    from rag.settings import SettingsError, load_settings

    try:
        settings = load_settings(*arguments)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    logs.log_as_json(settings.role, settings.log_level)
    front = app.create_app(service.assemble(settings))
    config = uvicorn.Config(
        front,
        host="0.0.0.0",  # noqa: S104  a container's own network
        port=settings.listens_on,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    LeavingServer(config, front, settings.leaving_seconds).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
