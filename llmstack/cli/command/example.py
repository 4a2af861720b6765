"""Examples below a command's help."""

from __future__ import annotations


def examples(*lines: str) -> str:
    """An epilog that shows command lines, one below the other."""
    # What is in brackets would be markup, and a blank line two.
    return "\n".join(["Examples:", *(f"$ {line}".replace("[", "\\[") for line in lines)])
