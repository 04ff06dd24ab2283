"""The documents' examples work as written, and what they list exists."""

import json
import os
import re
import shutil
import subprocess
import sys

import botocore.session
import pytest

import template as tpl
from contract import ROUTE

TERRAFORM_CDK = (tpl.ROOT / "docs" / "terraform-cdk.md").read_text()
DOCUMENTS = "".join((tpl.ROOT / name).read_text() for name in ("README.md", "docs/api.md"))
REQUIREMENTS = tpl.HERE / "requirements"


def block(language):
    found = re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENTS, re.DOTALL | re.MULTILINE)
    assert len(found) == 1, f"the documents have {len(found)} examples in {language}"
    return found[0]


def curl(folder):
    return ["bash", "-c", block("sh")]


def python(folder):
    return [sys.executable, "-B", "-c", block("python")]


def install(name, folder):
    for file in ("package.json", "package-lock.json"):
        shutil.copy(REQUIREMENTS / name / file, folder)
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True)


def node(folder):
    install("node", folder)
    (folder / "call.mjs").write_text(block("js"))
    return ["node", "call.mjs"]


def php(folder):
    (folder / "call.php").write_text(block("php"))
    return ["php", "call.php"]


@pytest.mark.parametrize("kind", ["key", "role"])
@pytest.mark.parametrize("example", [curl, python, node, php], ids=lambda example: example.__name__)
def test_example_creates_a_session(stack, app, tmp_path, example, kind):
    """With a user's access key, and with a role's temporary credentials."""
    program = example.__name__
    if program != "python" and not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    credentials = app if kind == "key" else stack.caller_role("UseSessionsPolicy")
    before = stack.runs("write")
    done = subprocess.run(
        example(tmp_path),
        env=stack.environment(credentials) | {"API_URL": stack.url},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "201" in done.stdout, said
    assert re.search(r"[A-Za-z0-9_-]{43}", done.stdout), f"no session id: {said}"
    assert stack.runs("write") == before + 1


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed")
def test_cdk_example_passes_the_release_template_on(tmp_path):
    install("cdk", tmp_path)
    # As `aws cloudformation package` writes it.
    template = (tpl.ROOT / "template.yaml").read_text().replace("CodeUri: functions/arm64/", "CodeUri: s3://my-bucket/")
    (tmp_path / "packaged.yaml").write_text(template)
    example = re.search(r"^```js\n(.*?)^```$", TERRAFORM_CDK, re.DOTALL | re.MULTILINE)[1]
    (tmp_path / "stack.mjs").write_text(example)
    environment = {"PATH": os.environ["PATH"], "CDK_OUTDIR": str(tmp_path / "out")}
    done = subprocess.run(["node", "stack.mjs"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    resources = json.loads((tmp_path / "out" / "shop.template.json").read_text())["Resources"]
    (stack,) = (one["Properties"] for one in resources.values() if one["Type"] == "AWS::CloudFormation::Stack")
    assert stack["Parameters"].keys() <= tpl.load(tpl.ROOT / "template.yaml")["Parameters"].keys()
    asset = re.search(r"/(\w+)\.yaml$", stack["TemplateURL"]["Fn::Sub"])[1]
    assert (tmp_path / "out" / f"asset.{asset}.yaml").read_text() == template
    (role,) = (one["Properties"] for one in resources.values() if one["Type"] == "AWS::IAM::Role")
    assert "Outputs.UseSessionsPolicyArn" in str(role["ManagedPolicyArns"])


def test_examples_name_existing_outputs():
    outputs = tpl.load(tpl.ROOT / "template.yaml")["Outputs"].keys()
    named = re.findall(r'outputs\["(\w+)"\]|"Outputs\.(\w+)"', TERRAFORM_CDK)
    assert len(named) >= 4 and {one or other for one, other in named} <= outputs


def test_api_document_lists_every_route():
    text = (tpl.ROOT / "docs" / "api.md").read_text()
    table = text[text.index("## Routes") : text.index("## Headers")]
    listed = set()
    for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE):
        listed |= set(re.findall(r"`([A-Z]+ /[a-z/{}]+)`", row))
    assert listed == ROUTE.keys()


def test_security_document_names_existing_tests():
    sources = [
        *(tpl.ROOT / "tests").rglob("*.rs"),
        *(tpl.ROOT / "tests").rglob("*.py"),
        *(tpl.ROOT / "src").rglob("*.rs"),
    ]
    text = "".join(source.read_text() for source in sources)
    document = (tpl.ROOT / "docs" / "security.md").read_text()
    table = document[document.index("## OWASP ASVS 5.0") : document.index("## Report")]
    tests = [name for row in table.splitlines() for name in re.findall(r"`([a-z_0-9]{20,})`", row)]
    assert len(tests) > 15
    assert [name for name in tests if f"fn {name}(" not in text and f"def {name}(" not in text] == []


def aws_commands():
    """The AWS CLI commands in the documents and in what `deploy` prints: (service, operation, options)."""
    paths = [*tpl.ROOT.glob("*.md"), *(tpl.ROOT / "docs").glob("*.md"), tpl.ROOT / "deploy" / "deploy"]
    for path in paths:
        text = re.sub(r"\\?\n\s*(?=--)", " ", path.read_text())
        for service, operation, rest in re.findall(r"\baws ([a-z]+) ([a-z]+-[a-z-]+)((?: +[^\s`]+)*)", text):
            yield service, operation, re.findall(r"--([a-z-]+)", rest)


@pytest.mark.parametrize("command", list(aws_commands()), ids=lambda command: " ".join(command[:2]))
def test_aws_command_has_the_options_of_its_operation(command):
    service, operation, options = command
    model = botocore.session.get_session().get_service_model({"deploy": "codedeploy"}.get(service, service))
    names = {botocore.xform_name(name, "-"): name for name in model.operation_names}
    parameters = {
        botocore.xform_name(name, "-") for name in model.operation_model(names[operation]).input_shape.members
    }
    unknown = [name for name in options if name.removeprefix("no-") not in parameters | {"region"}]
    assert not unknown


def test_documents_contain_aws_commands():
    assert len(list(aws_commands())) >= 6
