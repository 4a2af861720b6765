"""Settings for every test; fixtures live beside the tests that use them, or in `llmstack.testing`."""

import contextlib
import os
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings

# The same examples on every run, so that a red build is red again on the next machine; what failed is printed to paste.
settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# At a desk: new examples on every run. No deadline, since a machine that is busy with something else is no bug.
settings.register_profile("dev", deadline=None)
# By hand, before a release: HYPOTHESIS_PROFILE=thorough make test
settings.register_profile(
    "thorough",
    deadline=None,
    max_examples=2000,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(autouse=True, scope="session")
def no_certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Reading the system's certificates is most of the time that a client takes to make; no test needs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SSL_CERT_FILE", raising=False)
        patch.setenv("SSL_CERT_DIR", str(tmp_path_factory.mktemp("certificates")))
        yield


@pytest.fixture(autouse=True)
def nothing_left_behind(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """After every test: no thread of ours is left, and no key is in any log."""
    before = set(threading.enumerate())
    yield
    # trio keeps the worker threads, which the SDK asks for, ten seconds for the next.
    left = [thread for thread in threading.enumerate() if thread not in before and not thread.name.startswith("Trio")]
    for thread in left:
        with contextlib.suppress(RuntimeError):  # it is just being started, and is looked at below
            thread.join(5.0)  # one that is ending may end; a test that leaks nothing does not wait
    assert [thread.name for thread in left if thread.is_alive()] == []
    for phase in ("setup", "call"):
        logged = [record.getMessage() for record in caplog.get_records(phase)]
        assert [line for line in logged if "not-a-key" in line] == []
