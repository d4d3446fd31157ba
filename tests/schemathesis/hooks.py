"""What a document cannot tell: things that exist, and how a call without a key is refused."""

import os
import uuid

import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation

KEY = "idempotency-key"

# Fields whose made-up values would never get past the first look-up.
EXISTING = {
    "wallet_id": os.environ["MERCHANT_WALLET"],
    "environment_id": os.environ["MERCHANT_ENVIRONMENT"],
    "line_of_credit_id": os.environ["MERCHANT_LINE"],
    "payment_request": os.environ["MERCHANT_INVOICE"],
    "currency": "btc",
    "type": "bolt11",
    "payment_kind": "bolt11",
    "network": "mutinynet",
}

# Left out beside them: other spellings of one amount, which must agree, and what is not served.
APART = ("amount", "amount_sats", "max_fee", "max_fee_msats", "max_fee_sats", "quote_id", "description")

calls = 0
refused = set()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Every other good body names what exists; bad ones stay as bad as they are. A key of an earlier request
    would have all the rest answered with nothing but that: each has a key of its own."""
    global calls
    calls += 1
    is_bad_at = case.meta.is_negative_at if case.meta is not None else lambda location: False
    if case.headers and KEY in case.headers and not is_bad_at(ParameterLocation.HEADER):
        case.headers[KEY] = f"call {calls}"
    if calls % 2 and isinstance(case.body, dict) and not is_bad_at(ParameterLocation.BODY):
        name_what_exists(case.body)


def name_what_exists(body):
    for field in APART:
        body.pop(field, None)
    if "payment_request" in body:
        body["amount_msats"] = 3_000
    if "id" in body:
        body["id"] = str(uuid.UUID(int=calls))
    if "name" in body:
        body["name"] = f"till {calls}"
    if "limit" in body:
        body["limit"] = 1_000
    for field, value in body.items():
        if isinstance(value, dict):
            name_what_exists(value)
        elif field in EXISTING and value is not None:
            body[field] = EXISTING[field]


@schemathesis.check
def a_key_is_asked_for(context, response, case):
    """No key is a 400 and a wrong one a 401, as the contract has it; the check that comes with the tool
    knows 401 only."""
    sent = response.request
    is_own_method = sent.method == case.operation.method.upper()
    if not (is_own_method and 200 <= response.status_code < 300) or case.operation.label in refused:
        return
    keys = ("x-api-key", "authorization")
    headers = {name: value for name, value in sent.headers.items() if name.lower() not in keys}
    for key, status, kind in [
        ({}, 400, "missing_credentials"),
        ({"x-api-key": "switchyard_wrong"}, 401, "wrong_credentials"),
        ({"authorization": "Bearer switchyard_wrong"}, 401, "wrong_credentials"),
    ]:
        told = requests.request(sent.method, sent.url, data=sent.body, headers=headers | key, timeout=10)
        found = (told.status_code, told.json()["error"]["type"])
        assert found == (status, kind), f"{case.operation.label} with {list(key)}: {found}"
    refused.add(case.operation.label)
