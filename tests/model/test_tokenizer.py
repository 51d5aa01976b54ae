import json
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sam3model.errors import InputError
from sam3model.text.tokenizer import Tokenizer, trim
from tests.model.weight_rule import GOLDENS

RECORD = json.loads((GOLDENS / "tokenizer.json").read_text())
TOKENIZER = Tokenizer()


@pytest.mark.parametrize("row", RECORD["rows"], ids=lambda row: ascii(row["text"])[:40])
def test_ids_equal_the_reference(row):
    assert TOKENIZER.encode(row["text"]) == row["encode"]
    assert TOKENIZER([row["text"]]).tolist() == [row["ids77"]]
    assert TOKENIZER([row["text"]], context_length=32).tolist() == [row["ids32"]]


def test_vocabulary_and_defaults_equal_the_reference():
    assert len(TOKENIZER) == RECORD["vocab_size"]
    assert (TOKENIZER.start_id, TOKENIZER.end_id) == (RECORD["sot_id"], RECORD["eot_id"])
    assert TOKENIZER("A plain str").tolist() == RECORD["call_with_plain_string_ids77"]


@given(st.text(max_size=200), st.integers(2, 40))
def test_any_text_gives_a_well_formed_row(text, context):
    (row,) = TOKENIZER(text, context).tolist()
    body = TOKENIZER.encode(text)[: context - 2]
    assert row == [TOKENIZER.start_id, *body, TOKENIZER.end_id] + [0] * (context - 2 - len(body))


def test_trim_keeps_the_longest_text():
    ids = TOKENIZER(["cat", "a striped cat !@#", ""])
    trimmed = trim(ids, TOKENIZER.end_id)
    assert trimmed.shape[1] == len(TOKENIZER.encode("a striped cat !@#")) + 2
    assert not ids[:, trimmed.shape[1] :].any()
    assert torch.equal(trimmed, ids[:, : trimmed.shape[1]])


def test_a_tokenizer_can_be_pickled():
    again = pickle.loads(pickle.dumps(TOKENIZER))
    assert torch.equal(again("a striped cat"), TOKENIZER("a striped cat"))


def test_a_context_too_short_is_refused():
    with pytest.raises(InputError, match="context length of 1 has no room"):
        TOKENIZER("cat", 1)
