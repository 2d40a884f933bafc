"""Changes each alert so that it is wrong, and sees that a test of it fails. Prints what survived.

    alert_mutants.py PROMTOOL FOLDER_OF_RULES WORK_FOLDER

`never`: it does not fire. `at once`: it does not wait, where it should. `always`: it fires for whichever daemon runs.
Only those tests are run that expect the alert at some time.
"""

import concurrent.futures
import copy
import os
import pathlib
import subprocess
import sys

import yaml

promtool, folder, work = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
rules = yaml.safe_load((folder / "rules.yaml").read_text())
files = [yaml.safe_load(path.read_text()) for path in sorted((folder / "tests").glob("*.yaml"))]


def never(rule):
    rule["expr"] = "vector(0) > 1"


def at_once(rule):
    del rule["for"]


def always(rule):
    rule["expr"] = "group by (namespace, job) (lamplighter_build_info) or vector(1)"


def expects(test, rule):
    """Whether a test expects this alert, with its severity, to fire at some time."""
    samples = [sample for one in test["promql_expr_test"] for sample in one.get("exp_samples", [])]
    wanted = [f'alertname="{rule["alert"]}"', f'severity="{rule["labels"]["severity"]}"']
    return any(all(part in sample["labels"] for part in wanted) for sample in samples)


def dies(number, group, place, change):
    # Its group alone, which takes a quarter of the time: no test of an alert expects one of another group.
    mutant = copy.deepcopy(rules["groups"][group])
    rule = mutant["rules"][place]
    change(rule)
    (work / f"{number}-rules.yaml").write_text(yaml.safe_dump({"groups": [mutant]}))
    died = False
    for part, file in enumerate(files):
        tests = [test for test in file["tests"] if expects(test, rule)]
        if tests and not died:
            path = work / f"{number}-{part}.yaml"
            path.write_text(yaml.safe_dump({**file, "rule_files": [f"{number}-rules.yaml"], "tests": tests}))
            ended = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True)
            # It has to fail because of what is expected, not because the mutant can't be read.
            died = ended.returncode != 0 and "exp:" in ended.stdout + ended.stderr
    return f'{rule["alert"]} ({rule["labels"]["severity"]}), {change.__name__}', died


mutants, alerts = [], 0
for group, of in enumerate(rules["groups"]):
    for place, rule in enumerate(of["rules"]):
        if "alert" in rule:
            alerts += 1
            changes = [never, always] + ([at_once] if "for" in rule else [])
            mutants += [(group, place, change) for change in changes]

with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    found = list(pool.map(lambda one: dies(one[0], *one[1]), enumerate(mutants)))
survivors = [name for name, died in found if not died]
for name in survivors:
    print("survived:", name)
print(f"{len(mutants)} mutants of {alerts} alerts, {len(survivors)} survived")
sys.exit(bool(survivors))
