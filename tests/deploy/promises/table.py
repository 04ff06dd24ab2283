"""What the table promises about capacity, expiry, encryption and survival."""

from .design import promise

KEY_ARN = "arn:aws:kms:eu-central-1:111122223333:key/0123"


@promise("the table is on demand, and a touch doesn't write to its index")
def table(design):
    there = design.resource("Sessions")
    if there.get("BillingMode") != "PAY_PER_REQUEST":
        yield "the table has a fixed capacity"
    for index in there["GlobalSecondaryIndexes"]:
        if index["Projection"] != {"ProjectionType": "KEYS_ONLY"}:
            yield f"{index['IndexName']} has {index['Projection']}"


@table.mutation
def a_table_of_fixed_capacity(raw):
    raw["Resources"]["Sessions"]["Properties"].pop("BillingMode")


@table.mutation
def an_index_with_the_data(raw):
    (index,) = raw["Resources"]["Sessions"]["Properties"]["GlobalSecondaryIndexes"]
    index["Projection"] = {"ProjectionType": "ALL"}


@promise("DynamoDB deletes expired sessions")
def ttl(design):
    if design.resource("Sessions").get("TimeToLiveSpecification") != {"AttributeName": "expires", "Enabled": True}:
        yield "the table has no TTL on expires"


@ttl.mutation
def ttl_of_another_attribute(raw):
    raw["Resources"]["Sessions"]["Properties"]["TimeToLiveSpecification"]["AttributeName"] = "ttl"


@ttl.mutation
def no_ttl(raw):
    raw["Resources"]["Sessions"]["Properties"].pop("TimeToLiveSpecification")


@promise("the table is encrypted with the customer managed key if there is one, else with the key that DynamoDB owns")
def encryption(design):
    if "SSESpecification" in design.resource("Sessions"):
        yield f"without a key: {design.resource('Sessions')['SSESpecification']}"
    there = design.resource("Sessions", KmsKeyArn=KEY_ARN).get("SSESpecification")
    if there != {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY_ARN}:
        yield f"with a key: {there}"


@encryption.mutation
def the_key_that_aws_manages(raw):
    raw["Resources"]["Sessions"]["Properties"]["SSESpecification"] = {"SSEEnabled": True, "SSEType": "KMS"}


@encryption.mutation
def a_key_that_is_not_used(raw):
    raw["Resources"]["Sessions"]["Properties"].pop("SSESpecification")


@promise("the table is protected from deletion")
def deletion_protection(design):
    if design.resource("Sessions").get("DeletionProtectionEnabled") is not True:
        yield "the table has no deletion protection"


@deletion_protection.mutation
def no_protection(raw):
    raw["Resources"]["Sessions"]["Properties"]["DeletionProtectionEnabled"] = False


@promise("the table survives the deletion of the stack and its own replacement")
def retention(design):
    for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
        if design.processed["Resources"]["Sessions"].get(policy) != "Retain":
            yield f"the table has no {policy}: Retain"


@retention.mutation
def deleted_with_the_stack(raw):
    raw["Resources"]["Sessions"].pop("DeletionPolicy")


@retention.mutation
def deleted_when_replaced(raw):
    raw["Resources"]["Sessions"]["UpdateReplacePolicy"] = "Delete"


@promise("the table can be restored to any second, unless the parameter turns that off")
def recovery(design):
    for given, expected in [({}, "true"), ({"PointInTimeRecovery": "false"}, "false")]:
        there = design.resource("Sessions", **given).get("PointInTimeRecoverySpecification", {})
        if there.get("PointInTimeRecoveryEnabled") != expected:
            yield f"with {given or 'the defaults'}: {there}"


@recovery.mutation
def no_recovery(raw):
    raw["Parameters"]["PointInTimeRecovery"]["Default"] = "false"


@promise("the table and its index have a ceiling and warm throughput if the parameters ask for them")
def throughput(design):
    for given, name, value in [
        ({"MaxReadUnits": 50}, "OnDemandThroughput", {"MaxReadRequestUnits": 50}),
        ({"MaxWriteUnits": 20}, "OnDemandThroughput", {"MaxWriteRequestUnits": 20}),
        ({"WarmReadUnits": 20_000}, "WarmThroughput", {"ReadUnitsPerSecond": 20_000, "WriteUnitsPerSecond": 4_000}),
        ({"WarmWriteUnits": 9_000}, "WarmThroughput", {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 9_000}),
    ]:
        for where, parameters, expected in [("by default", {}, None), (f"with {given}", given, value)]:
            table = design.resource("Sessions", **parameters)
            for one in (table, *table["GlobalSecondaryIndexes"]):
                if one.get(name) != expected:
                    yield f"{one.get('IndexName', 'the table')} has the {name} {one.get(name)} {where}"


@throughput.mutation
def an_index_without_a_ceiling(raw):
    raw["Resources"]["Sessions"]["Properties"]["GlobalSecondaryIndexes"][0].pop("OnDemandThroughput")


@throughput.mutation
def reads_that_limit_writes(raw):
    raw["Conditions"]["LimitsWrites"] = raw["Conditions"]["LimitsReads"]


@throughput.mutation
def warm_by_default(raw):
    raw["Parameters"]["WarmReadUnits"]["Default"] = 12_000
