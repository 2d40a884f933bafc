"""Hands the events of events.jsonl to EventBridge, and prints, sorted, which of them came out of the queue. Their shapes
are those that AWS documents and that were recorded elsewhere; only names and bulk are changed.

EventBridge takes events of `aws.…` from nobody but AWS. So each rule is put once more with sources of `recorded.…`, and
otherwise as it is: what its pattern lets through is what the first one would."""

import json
import pathlib
import sys
import time

import boto3

queue, sent = sys.argv[1], {}
bus, sqs = boto3.client("events"), boto3.client("sqs")

for rule in bus.list_rules(NamePrefix="lamplighter-")["Rules"]:
    pattern = json.loads(rule["EventPattern"])
    pattern["source"] = [source.replace("aws.", "recorded.") for source in pattern["source"]]
    bus.put_rule(Name=f"recorded-{rule['Name']}", EventPattern=json.dumps(pattern))
    targets = bus.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    bus.put_targets(Rule=f"recorded-{rule['Name']}", Targets=[{"Id": t["Id"], "Arn": t["Arn"]} for t in targets])

for line in pathlib.Path(__file__).with_name("events.jsonl").read_text().splitlines():
    event = json.loads(line)
    # Told apart by a field that no rule looks at.
    event["detail"]["what"] = event["what"]
    sent[event["what"]] = event["arrives"]
    entry = {
        "Source": event["source"].replace("aws.", "recorded."),
        "DetailType": event["detail-type"],
        "Resources": event["resources"],
        "Detail": json.dumps(event["detail"]),
    }
    answer = bus.put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0, answer

arrived, give_up = [], time.monotonic() + 20
while len(arrived) < sum(sent.values()) and time.monotonic() < give_up:
    for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
        arrived.append(json.loads(message["Body"])["detail"]["what"])
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
# What must not arrive would be there by now.
late = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
arrived += [json.loads(message["Body"])["detail"]["what"] for message in late]
json.dump({"arrived": sorted(arrived), "expected": sorted(what for what in sent if sent[what])}, sys.stdout)
