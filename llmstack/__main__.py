"""``python -m llmstack``: the command line without the console script."""

from llmstack.cli import main

main()
