"""Secrets in the output of a RUN, however it is cut into pieces."""

from hypothesis import given
from hypothesis import strategies as st

from corten.build.redaction import Redaction


@given(st.lists(st.binary(max_size=6)), st.sampled_from([b"aaab", b"secret", b"abcabcabd"]), st.integers(1, 9))
def test_no_cut_lets_a_secret_through(noise: list[bytes], secret: bytes, size: int) -> None:
    text = secret.join(noise) + secret
    filtered = Redaction([secret])
    pieces = [filtered.pass_on(text[at : at + size]) for at in range(0, len(text), size)]
    shown = b"".join([*pieces, filtered.rest()])
    assert secret not in shown
    assert b"***" in shown


def test_other_output_is_not_changed_nor_kept_for_long() -> None:
    filtered = Redaction([b"hunter2\n"])
    assert filtered.pass_on(b"all is well\n") == b"all is well\n"
    assert Redaction([]).pass_on(b"h") == b"h"
    assert Redaction([b"abc"]).pass_on(b"abc") == b"abc", "too short to be a secret"


def test_each_line_of_a_secret_file_counts() -> None:
    filtered = Redaction([b"-----BEGIN-----\nMIIabc\n-----END-----\n"])
    assert filtered.pass_on(b"grep: MIIabc\n") + filtered.rest() == b"grep: ***\n"
