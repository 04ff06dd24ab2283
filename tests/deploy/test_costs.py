"""The costs in the documents match the prices, the template and the measurements."""

import re

import pytest

import costs
import template as tpl


@pytest.mark.parametrize("path", costs.DOCUMENTS, ids=lambda path: path.name)
def test_document_contains_the_costs_as_calculated(path):
    text = path.read_text()
    assert costs.filled(text) == text, "run `make costs`"


def test_documents_contain_every_block():
    text = "".join(path.read_text() for path in costs.DOCUMENTS)
    assert set(re.findall(r"<!-- costs: (\w+)", text)) == set(costs.BLOCKS)


def test_price_has_a_date_and_a_source():
    for name, price in costs.PRICES.items():
        assert {"usd", "per", "page", "as_of", "read_at"} == price.keys(), name
        dated = re.fullmatch(r"20\d\d(-\d\d){0,2}", price["as_of"])
        # Copies of AWS's own pages have no date.
        assert dated or price["read_at"] == "a copy of the page", f"{name} has no date"


def test_line_of_the_access_log_is_as_long_as_documented():
    template = tpl.load(tpl.ROOT / "template.yaml")
    line = template["Resources"]["Api"]["Properties"]["AccessLogSettings"]["Fn::If"][1]["Format"]
    example = {
        "requestId": "U3KzvgYYliAEPzQ=",
        "routeKey": "GET /session",
        "status": "200",
        "responseLatency": "12",
        "identity.userArn": "arn:aws:sts::123456789012:assumed-role/my-app/i-0123456789abcdef0",
    }
    # API Gateway writes a hyphen where a variable has no value.
    line = re.sub(r"\$context\.([A-Za-z.]+)", lambda variable: example.get(variable[1], "-"), line)
    assert costs.is_close(len(line), costs.LINES["access"]), f"{len(line)} bytes: {line}"
