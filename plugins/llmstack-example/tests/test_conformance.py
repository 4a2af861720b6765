"""What every plugin must do: the suite of llmstack's testing kit."""

from llmstack.testing import Conformance
from llmstack_example import Example


class TestExample(Conformance):
    """Tried with real clients, in all modes."""

    bad_options = ({"instructions": ""},)

    def plugin(self, **options):
        """A fresh plugin."""
        return Example(**{"instructions": "Answer in one sentence.", **options})
