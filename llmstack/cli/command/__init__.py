"""The commands as typer sees them, one a file: names, options and help. What they do is in the modules beside.

Each module has ``add_to(app)``.
"""

from __future__ import annotations
