"""``themewatch serve``: one process, one port: the demo page at ``/``, the API under ``/v1``."""
