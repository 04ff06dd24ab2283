"""The template keeps its promises, and each check notices when it doesn't."""

import copy
import re

import pytest
import yaml

import template as tpl
from promises import PROMISES, Design

RAW = tpl.load(tpl.ROOT / "template.yaml")
MUTATIONS = [(promise, mutate) for promise in PROMISES for mutate in promise.mutations]


@pytest.fixture(scope="module")
def design():
    return Design(RAW)


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.name)
def test_template_keeps_its_promise(design, promise):
    broken = promise.check(design)
    assert not broken, f"broken promise: {promise.name}: {broken}"


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.name)
def test_every_promise_has_a_mutation(promise):
    assert promise.mutations, f"this promise needs a mutation that shows that its check can fail: {promise.name}"


def broken_by(design):
    return [promise.name for promise in PROMISES if promise.check(design)]


@pytest.fixture(scope="module")
def broken(design):
    """The promises that are broken without any mutation: none, unless other tests fail."""
    return broken_by(design)


@pytest.mark.parametrize(("promise", "mutate"), MUTATIONS, ids=[mutate.__name__ for _, mutate in MUTATIONS])
def test_mutation_breaks_its_promise_and_no_other(broken, promise, mutate):
    if promise.name in broken:
        pytest.skip("the promise is broken even without the mutation, which another test reports")
    mutated = copy.deepcopy(RAW)
    mutate(mutated)
    assert mutated != RAW, f"{mutate.__name__} changes nothing"
    # Ignore what was already broken, so that one defect causes only one failure.
    assert [name for name in broken_by(Design(mutated)) if name not in broken] == [promise.name]


def test_attempt_longer_than_its_operation_breaks_a_promise(broken):
    design = Design(RAW)
    longer = design.client.replace("from_millis(700)", "from_millis(2_600)")
    assert longer != design.client
    assert [name for name in broken_by(Design(RAW, longer)) if name not in broken] == [
        "each time limit fits into the next: attempt, operation, function, gateway"
    ]


def anchors(text):
    tokens = yaml.scan(text)
    return [token.value for token in tokens if isinstance(token, (yaml.AnchorToken, yaml.AliasToken))]


def test_template_has_no_yaml_anchors():
    """Not all of CloudFormation's tools accept them."""
    text = (tpl.ROOT / "template.yaml").read_text()
    assert not anchors(text)
    assert anchors(text.replace("DeletionProtectionEnabled: true", "DeletionProtectionEnabled: &yes true")) == ["yes"]


def test_a_panic_ends_one_request_and_not_the_function():
    """cargo-lambda builds with `abort` unless the profile says otherwise."""
    manifest = (tpl.ROOT / "Cargo.toml").read_text()
    profile = manifest.partition("[profile.release]\n")[2].partition("\n[")[0]
    assert re.search('^panic = "unwind"$', profile, re.MULTILINE)
