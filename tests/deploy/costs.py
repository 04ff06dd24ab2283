"""Calculates what the API costs, and writes it into the documents, and into what `deploy` prints: `make costs`.

Prices come from prices.json, consumed units from the results of `make bench` and `make pages`, and the number of alarms
from the template.
"""

import argparse
import json
import re
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import template as tpl

PRICES = json.loads((tpl.HERE / "prices.json").read_text())["prices"]
RESULTS = json.loads((tpl.ROOT / "benches" / "results" / "results.json").read_text())
PAGES = json.loads((tpl.ROOT / "benches" / "results" / "pages.json").read_text())
TEMPLATE = tpl.load(tpl.ROOT / "template.yaml")

MEMORY_GB = 0.25
#: How long a request takes. An assumption, mostly about DynamoDB. The dashboard shows the actual duration.
DURATION_S = 0.010
#: Bytes that each request adds to the function's log, to the access log, and in Lambda's own lines if they're on. Tests
#: compare the first with a line from the deployed function, and the second with the template's format. Lambda's own
#: lines are platform.start and platform.report, as shown in
#: https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html.
LINES = {"function": 296, "access": 200, "lambda": 370}
#: Bytes that CloudWatch adds to each line (the last of these is two lines):
#: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
LOGGED = {name: length + (52 if name == "lambda" else 26) for name, length in LINES.items()}
#: The function logs one out of this many successful requests.
LOG_SAMPLE = TEMPLATE["Parameters"]["LogSample"]["Default"]
FREE_ALARMS = 10


def usd(name):
    return PRICES[name]["usd"]


def cents(dollars):
    """An amount in dollars and cents, rounded as on a bill."""
    return str(Decimal(str(round(dollars, 6))).quantize(Decimal("0.01"), ROUND_HALF_UP))


def gateway_and_function(over_url=False):
    """Dollars for a million requests, without DynamoDB: (part, calculation, dollars). Over a function's URL, there is
    neither a gateway nor an access log."""
    time = MEMORY_GB * DURATION_S * 1e6
    kilobytes = (LOGGED["function"] / LOG_SAMPLE + LOGGED["access"] * (not over_url)) / 1000
    gateway = [] if over_url else [("API Gateway", f"${usd('gateway'):.2f} per million", usd("gateway"))]
    return [
        *gateway,
        ("Lambda, requests", f"${usd('lambda_requests'):.2f} per million", usd("lambda_requests")),
        (
            f"Lambda, time: 10⁶ × {DURATION_S:.2f} s × {MEMORY_GB} GB = {time:,.0f} GB-s",
            f"${usd('lambda_time'):.10f} per GB-s (arm64)",
            time * usd("lambda_time"),
        ),
        (f"Logs: {kilobytes:.2f} KB per request", f"${usd('logs'):.2f} per GB", kilobytes * usd("logs")),
    ]


def request(kind, units, over_url=False):
    """Dollars for a million requests that consume this many units each."""
    return sum(dollars for _, _, dollars in gateway_and_function(over_url)) + units * usd(f"{kind}_units")


def table(heading, rows):
    lines = ["| " + " | ".join(cells) + " |" for cells in [heading, *rows]]
    return "\n".join([lines[0], "|---" * len(heading) + "|", *lines[1:]])


def million_requests():
    rows = [(part, how, cents(dollars), cents(dollars)) for part, how, dollars in gateway_and_function()]
    rows.insert(
        3,
        (
            "DynamoDB: one unit per read of up to 4 KB, per write of up to 1 KB",
            f"${usd('read_units'):.3f}, ${usd('write_units'):.3f} per million units",
            cents(usd("read_units")),
            cents(usd("write_units")),
        ),
    )
    for name, over_url in [("total", False), ("over a function URL, without gateway and access log", True)]:
        read, write = (request(kind, 1, over_url) for kind in ("read", "write"))
        rows.append((name, "", f"**${cents(read)}**", f"**${cents(write)}**"))
    return table(("", "price", "a million reads", "a million writes"), rows)


def comparison():
    """Compares us with the AWS SDK for PHP, whose session handler calls DynamoDB from the app."""
    costs = {(cost["operation"], cost["bytes"]): cost for cost in RESULTS["costs"]}
    rows = []
    for data in sorted({data for _, data in costs}):
        row = [f"{data / 1000:g} KB"]
        for operation, kind in [("read", "read"), ("replace", "write")]:
            cost = costs[operation, data]
            ours = [request(kind, cost["capacity"], over_url) for over_url in (False, True)]
            php = cost["php_capacity"] * usd(f"{kind}_units")
            units = f"{cost['capacity']:g}, {cost['php_capacity']:g}"
            row += [units, *(f"${cents(dollars)}" for dollars in [*ours, php])]
        rows.append(row)
    heading = (
        "data",
        "read: units, PHP's",
        "ours",
        "over URLs",
        "PHP's",
        "write: units, PHP's",
        "ours",
        "over URLs",
        "PHP's",
    )
    return table(heading, rows)


#: The monthly operations, and the GB of live sessions, for which `alternatives` compares stores.
OPERATIONS = {"1 million": 1e6, "10 million": 1e7, "1 billion": 1e9}
LIVE = {"20 MB": 0.02, "1 GB": 1, "20 GB": 20}
#: Assumptions: bytes in a session, share of reads, and hours in a month.
SESSION = 2_000
READS = 0.8
HOURS = 730
#: How much of a node's memory is available for data: ElastiCache reserves a quarter.
USABLE = 0.75
#: GiB of a node's memory per GB of data. Assumes that Valkey adds 100 bytes to each session.
GIB_IN_VALKEY = 1e9 / 2**30 * (SESSION + 100) / SESSION
#: GB of MySQL storage per GB of data. Assumes half as much again for indexes, logs and half-filled pages.
GB_IN_MYSQL = 1.5
#: https://docs.aws.amazon.com/efs/latest/ug/metered-sizes.html: 2 KiB per file, plus its data in steps of 4 KiB.
GB_IN_NFS = (2_048 + 4_096) / SESSION
#: The cheapest ElastiCache node with this many GiB, and the cheapest RDS instance for this many operations a month.
NODES = {0.5: "valkey_micro", 1.37: "valkey_small", 26.3: "valkey_xlarge"}
INSTANCES = {1e8: "mysql_micro", 1e9: "mysql_medium"}


def mixed(read, write):
    """The average of a read and a write, weighted by their shares."""
    return READS * read + (1 - READS) * write


def units(data):
    """The measured units of a read and of a write of this many bytes, each as (ours, those of a handler in the app)."""
    costs = {cost["operation"]: cost for cost in RESULTS["costs"] if cost["bytes"] == data}
    return [(costs["read"][key], costs["replace"][key]) for key in ("capacity", "php_capacity")]


def session_api(operations, live, over_url=False):
    (read, write), _ = units(SESSION)
    stored = live * (usd("storage") + usd("recovery"))
    alarms = alarm_metrics(TEMPLATE) * usd("alarms")
    each = mixed(request("read", read, over_url), request("write", write, over_url))
    return operations / 1e6 * each + stored + alarms


def session_api_over_urls(operations, live):
    return session_api(operations, live, over_url=True)


def dynamodb_in_the_app(operations, live):
    _, (read, write) = units(SESSION)
    return operations / 1e6 * mixed(read * usd("read_units"), write * usd("write_units")) + live * usd("storage")


def valkey_serverless(operations, live):
    # A command transfers the whole session.
    return operations / 1e6 * SESSION / 1000 * usd("valkey_units") + max(0.1, live) * HOURS * usd("valkey_memory")


def valkey_nodes(_operations, live):
    """Two nodes in two zones."""
    return 2 * HOURS * next(usd(node) for memory, node in NODES.items() if memory * USABLE >= live * GIB_IN_VALKEY)


def mysql(operations, live):
    """An instance in two zones."""
    instance = next(usd(name) for most, name in INSTANCES.items() if operations <= most)
    return HOURS * instance + 2 * max(20, live * GB_IN_MYSQL) * usd("mysql_storage")


def nfs(operations, live):
    """EFS with elastic throughput. Assumes that each operation counts as at least 4 KB."""
    transferred = operations * max(4_000, SESSION) / 1e9
    return live * GB_IN_NFS * usd("nfs_storage") + transferred * mixed(usd("nfs_reads"), usd("nfs_writes"))


ALTERNATIVES = {
    "session API": session_api,
    "session API, over function URLs": session_api_over_urls,
    "DynamoDB handler in the app": dynamodb_in_the_app,
    "Valkey, ElastiCache Serverless": valkey_serverless,
    "Valkey, two ElastiCache nodes": valkey_nodes,
    "MySQL in two zones (RDS)": mysql,
    "NFS (EFS)": nfs,
}


def rounded(amount):
    """An amount in dollars, with cents below $10."""
    return f"${amount:,.0f}" if amount >= 10 else f"${cents(amount)}"


def alternatives():
    """What each way to store sessions costs, in dollars a month."""
    cells = [(operations, live) for operations in OPERATIONS for live in LIVE]
    rows = [
        (name, *(rounded(monthly(OPERATIONS[operations], LIVE[live])) for operations, live in cells))
        for name, monthly in ALTERNATIVES.items()
    ]
    return table(("", *(f"{operations}, {live}" for operations, live in cells)), rows)


def digits(number):
    """A number to three digits, without an exponent."""
    return f"{float(f'{number:.3g}'):,g}"


def a_second(operations):
    """Operations a month as a rate, to two digits."""
    return f"{float(f'{operations / HOURS / 3600:.2g}'):g}"


def break_even():
    """Up to how many million operations a month the session API is cheaper than stores that charge by the hour."""
    paid_by_time = {"Valkey Serverless": valkey_serverless, "Valkey, two nodes": valkey_nodes, "MySQL": mysql}
    rows = []
    for name, live in LIVE.items():
        for entrance, ours in [("the API", session_api), ("function URLs", session_api_over_urls)]:
            idle_cost = ours(0, live)
            each = ours(1e6, live) - idle_cost
            # With these, the operations themselves cost next to nothing.
            millions = [(monthly(0, live) - idle_cost) / each for monthly in paid_by_time.values()]
            rows.append(
                (name, entrance, *(f"{digits(one)} million ({a_second(one * 1e6)} a second)" for one in millions))
            )
    return table(("live sessions", "over", *paid_by_time), rows)


def sustained(rate):
    """What a sustained rate of requests a second costs a month, in dollars, to two significant digits."""
    dollars = session_api(float(rate) * HOURS * 3600, LIVE["1 GB"])
    return f"${float(f'{dollars:.2g}'):,.0f}"


def average_page(handler):
    """What one page view consumes with this handler, averaged over the traces and weighted by their visitors."""
    visitors = {trace["name"]: trace["visitors"] for trace in PAGES["traces"]}
    totals = {
        key: sum(visitors[name] * trace[key] for name, trace in handler["traces"].items())
        for key in ("pages", "calls", "read_units", "write_units", "kilobytes")
    }
    return {key: total / totals["pages"] for key, total in totals.items()}


def million_pages(handler, over_url=False):
    """Dollars for a handler's million page views. One that calls DynamoDB from the app pays only for units."""
    page = average_page(handler)
    requests = page["calls"] * request("read", 0, over_url) if handler["store"] == "session API" else 0
    return requests + page["read_units"] * usd("read_units") + page["write_units"] * usd("write_units")


#: Targets for the session API's clients: the maximum calls per page, and the handler whose price is the ceiling, because
#: the framework's users have it today. Django is compared with Flask's.
MAX_CALLS = 1.1
TODAYS = {
    "php": "aws-sdk-php",
    "laravel": "laravel-dynamodb",
    "express": "connect-dynamodb",
    "django": "flask-session-dynamodb",
}


def page_targets(results=PAGES):
    """What the session API's clients take for a page over function URLs, in bold where a target is missed."""
    handlers = {handler["name"]: handler for handler in results["handlers"]}

    def marked(value, limit, text):
        return text if value <= limit else f"**{text}**"

    rows = []
    for name, todays in TODAYS.items():
        calls, price = average_page(handlers[name])["calls"], million_pages(handlers[name], over_url=True)
        limit = million_pages(handlers[todays])
        rows.append(
            (
                handlers[name]["title"],
                marked(calls, MAX_CALLS, f"{calls:.2f}"),
                marked(price, limit, f"${cents(price)}"),
                f"${cents(limit)}: {handlers[todays]['title']}",
            )
        )
    return table(("client", f"calls, target ≤ {MAX_CALLS}", "a million pages", "target: not more than today's"), rows)


def pages(results=PAGES):
    """What page views cost with each handler."""
    rows = []
    for handler in results["handlers"]:
        page = average_page(handler)
        over_urls = f"${cents(million_pages(handler, over_url=True))}" if handler["store"] == "session API" else "–"
        rows.append(
            (
                handler["title"],
                handler["store"],
                *(f"{page[key]:.2f}" for key in ("calls", "read_units", "write_units", "kilobytes")),
                f"${cents(million_pages(handler))}",
                over_urls,
            )
        )
    heading = ("", "store", "calls", "read units", "write units", "KB", "a million pages", "over function URLs")
    return table(heading, rows)


def traces():
    """The traces, and their visitors."""
    rows = [(trace["name"], trace["what"], f"{trace['visitors']}%") for trace in PAGES["traces"]]
    return table(("visitor", "", "share"), rows)


def alarm_metrics(template):
    """How many metrics the template's alarms watch. AWS charges for each."""
    alarms = tpl.of_type(template, "AWS::CloudWatch::Alarm").values()
    return sum(sum("MetricStat" in one for one in alarm["Properties"].get("Metrics", [])) or 1 for alarm in alarms)


def idle_dollars():
    """Dollars a month for the alarms."""
    return (alarm_metrics(TEMPLATE) - FREE_ALARMS) * usd("alarms")


def idle():
    count = alarm_metrics(TEMPLATE)
    return f"${cents(idle_dollars())} a month for its alarms ({count} metrics at ${usd('alarms'):.2f}, {FREE_ALARMS} of them free)"


def ceiling():
    """The most that 100 write units a second can cost in a month."""
    return f"${100 * HOURS * 3600 / 1e6 * usd('write_units'):,.0f}"


def logs_share():
    """How much of a read's price goes into logs."""
    *_, logs = gateway_and_function()
    return f"{100 * logs[-1] / request('read', 1):.0f}%"


def log_steps():
    """What logs cost at each level of logging, and what you lose by going there."""
    *others, _ = gateway_and_function()
    read = sum(dollars for _, _, dollars in others) + usd("read_units")
    sampled = LOGGED["function"] / LOG_SAMPLE
    steps = [
        ("every line, including Lambda's own", sum(LOGGED.values()), "–"),
        (
            "without Lambda's own lines, which the template turns off; `LogSample` 1",
            LOGGED["function"] + LOGGED["access"],
            "memory used by each invocation. Durations are metrics",
        ),
        (
            f"also with `LogSample` {LOG_SAMPLE} (the default)",
            sampled + LOGGED["access"],
            "duration, consumed capacity and session handle of most successful requests",
        ),
        (
            "also with `AccessLog` `false`",
            sampled,
            "caller and reason of each request that API Gateway refused: metrics only count them. Most successful requests leave no line",
        ),
    ]
    rows = []
    for step, length, lost in steps:
        dollars = length / 1000 * usd("logs")
        rows.append((step, f"{length:.0f}", f"${cents(dollars)}", f"{100 * dollars / (read + dollars):.0f}%", lost))
    return table(
        (
            "logs",
            "bytes logged per request",
            "price of a million requests",
            "share of a read's price",
            "what is lost, compared with the row above",
        ),
        rows,
    )


def price(name):
    """A price from prices.json, to put into a sentence."""
    return f"${usd(name):.3f}".rstrip("0").ljust(len("$0.00"), "0")


def prices():
    rows = [
        (
            f"[{name.replace('_', ' ')}]({one['page']})",
            f"{one['usd']:.10f}".rstrip("0").ljust(4, "0"),
            one["per"],
            one["as_of"],
            one["read_at"],
        )
        for name, one in PRICES.items()
    ]
    return table(("", "$", "per", "as of", "read at"), rows)


#: What goes between `<!-- costs: name -->` and `<!-- /costs -->` in the documents.
BLOCKS = {
    block.__name__: block
    for block in (
        million_requests,
        comparison,
        alternatives,
        break_even,
        sustained,
        traces,
        pages,
        page_targets,
        idle,
        ceiling,
        logs_share,
        log_steps,
        price,
        prices,
    )
}
DOCUMENTS = [
    tpl.ROOT / "README.md",
    *sorted((tpl.ROOT / "docs").glob("*.md")),
    tpl.ROOT / "benches" / "results" / "costs.md",
    tpl.ROOT / "deploy" / "deploy",
]


def filled(document):
    """The document with every block recalculated."""

    def fill(match):
        name, *arguments = match["name"].split()
        block = BLOCKS[name](*arguments)
        # A table needs its own lines.
        block = f"\n{block}\n" if block.startswith("|") else block
        return f"<!-- costs: {match['name']} -->{block}<!-- /costs -->"

    return re.sub(r"<!-- costs: (?P<name>[\w ]+) -->.*?<!-- /costs -->", fill, document, flags=re.DOTALL)


def is_close(measured, documented):
    """Whether a log line is within 10% of its documented length."""
    return 0.9 * documented <= measured <= 1.1 * documented


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--pages", type=Path, help="print what the page views in this file cost, without changing the documents"
    )
    arguments = parser.parse_args()
    if arguments.pages:
        results = json.loads(arguments.pages.read_text())
        print(f"{pages(results)}\n\n{page_targets(results)}")
        return
    for path in DOCUMENTS:
        path.write_text(filled(path.read_text()))


if __name__ == "__main__":
    main()
