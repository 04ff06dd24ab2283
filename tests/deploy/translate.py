"""Prints the template as CloudFormation sees it, for the linters: `python translate.py TEMPLATE`."""

import json
import sys

import template

print(json.dumps(template.translate(template.load(sys.argv[1])), indent=2))
