"""An engine's error becomes a sentence where its meaning is known, and stays what it was where it is not."""

from ops.reasons import plain

PULL = (
    "sdk.helper_schema: unable to pull image grafana/grafana:12: error pulling image grafana/grafana:12: no such host"
)
TRACE = """Traceback (most recent call last):
  File "a.py", line 1, in create
    wait()
TimeoutError: expected a settled cluster within 3 s, found: n1 does not answer
update failed"""


def test_a_missing_image_is_named_with_what_to_do() -> None:
    [reason] = plain([PULL, f"1 error occurred:\n\t* {PULL}", "update failed"])
    assert reason.startswith("expected image grafana/grafana:12 on this machine")


def test_of_a_traceback_only_the_message_is_left() -> None:
    assert plain([TRACE]) == ["expected a settled cluster within 3 s, found: n1 does not answer"]


def test_what_is_not_known_is_not_changed() -> None:
    assert plain(["the moon is in the wrong quarter"]) == ["the moon is in the wrong quarter"]
