"""The daemon at work: its queue, passes and sweeps, what it asks of AWS, and how replicas share the apps."""

from kit import Board, NONE_IS_FINE, at_least, at_most, events, of, quantile, rate, same, total


def board():
    it = Board("controller", "The daemon at work: queue, passes, sweeps, calls to AWS, admission and leases.", since="now-3h")
    each = lambda metric: (of(metric), "{{instance}}")

    it.row("Now")
    it.stat("Ready replicas", "Replicas whose /readyz says that they are ready.", total("lamplighter_ready"),
            colours=at_least(1, 1), runbook="not-ready", width=3)
    it.stat("Version", "What runs; several while it is rolled out.",
            f'count by (version) ({of("lamplighter_build_info")})', legend="{{version}}", width=3)
    it.stat("Youngest start", "How long ago the youngest of the replicas started.",
            f'time() - max ({of("process_start_time_seconds")} and on (namespace, job, instance) '
            f'{of("lamplighter_build_info")})', unit="s", runbook="restarting", width=3)
    it.stat("Last sweep", "How long ago the last complete sweep began, on the replica that is furthest behind.",
            f'time() - min ({of("lamplighter_last_sweep_timestamp_seconds")})', unit="s", colours=at_most(180, 600),
            runbook="sweep-stale", width=3)
    it.stat("Shards nobody holds", "Shards on whose apps no replica acts.",
            f'{same("lamplighter_shards")} - {total("lamplighter_shards_held")}', colours=NONE_IS_FINE,
            runbook="shards-not-held", width=3)
    it.stat("Panics", "Panics in the range above. Any is a bug.", events("lamplighter_panics_total", over="$__range"),
            colours=NONE_IS_FINE, runbook="panics", width=3, decimals=0)
    it.stat("State table lost", "Readings of the state table, in the range above, that knew less than one before.",
            events("lamplighter_state_lost_total", over="$__range"), colours=NONE_IS_FINE, runbook="state-lost", width=3,
            decimals=0)
    it.stat("Unreadable items", "Items of the state table that the last sweep could not read.",
            same("lamplighter_state_items_unreadable"), colours=NONE_IS_FINE, runbook="items-unreadable", width=3)

    it.row("Queue")
    it.lines("Waiting for a worker", "Apps that are ready to be looked at.", each("lamplighter_workqueue_depth"))
    it.lines("Added and put back", "Apps added to the queue, and those put back because their pass failed.",
             (rate("lamplighter_workqueue_adds_total"), "added"), (rate("lamplighter_workqueue_retries_total"), "put back"),
             unit="cps")
    it.lines("Time in the queue and at work", "95 % of the apps waited, and were worked on, for no longer.",
             (quantile(0.95, "lamplighter_workqueue_queue_duration_seconds"), "in the queue"),
             (quantile(0.95, "lamplighter_workqueue_work_duration_seconds"), "at work"), unit="s")
    it.lines("Longest pass under way", "How long the longest pass has taken so far.",
             each("lamplighter_workqueue_longest_running_processor_seconds"), unit="s",
             colours=((None, "green"), (300, "red")), runbook="worker-stuck", width=12)
    it.lines("All passes under way", "The time they have taken so far, added up. Growing without end: a worker hangs.",
             each("lamplighter_workqueue_unfinished_work_seconds"), unit="s", runbook="worker-stuck", width=12)

    it.row("Passes and sweeps")
    it.lines("Passes", "Looks at single apps, by how they ended.",
             (rate("lamplighter_reconcile_total", by="result"), "{{result}}"), unit="cps", stacked=True)
    it.lines("Duration of passes", "Half of them, and 95 %, took no longer.",
             (quantile(0.5, "lamplighter_reconcile_duration_seconds"), "half"),
             (quantile(0.95, "lamplighter_reconcile_duration_seconds"), "95 %"), unit="s")
    it.lines("Write conflicts", "Writes that lost to somebody else's. A few are normal with several replicas.",
             (rate("lamplighter_write_conflicts_total", by="instance"), "{{instance}}"), unit="cps")
    it.lines("Age of the last sweep", "How long ago the last complete sweep began.",
             (f'time() - {of("lamplighter_last_sweep_timestamp_seconds")}', "{{instance}}"), unit="s",
             colours=((None, "green"), (600, "red")), runbook="sweep-stale")
    it.lines("Sweeps", "`incomplete`: a page or a call was missing.",
             (events("lamplighter_sweeps_total", by="result"), "{{result}}"), counts=True, runbook="sweep-stale")
    it.lines("Duration of sweeps", "95 % took no longer.",
             (quantile(0.95, "lamplighter_sweep_duration_seconds", by="instance"), "{{instance}}"), unit="s")

    it.row("AWS")
    it.lines("Calls", "Calls to AWS, by service.",
             (rate("lamplighter_aws_requests_total", by="service"), "{{service}}"), unit="reqps", stacked=True)
    it.lines("Calls that did not go well", "`rejected` is also a condition that was not met, `not_found` often an answer.",
             (rate("lamplighter_aws_requests_total", 'outcome!="ok"', by="outcome"), "{{outcome}}"), unit="reqps",
             runbook="access-denied")
    it.lines("Throttled", "Calls that AWS throttled until the SDK gave up; and attempts after the first, whatever made them "
             "needed.",
             (rate("lamplighter_aws_requests_total", 'outcome="throttled"', by="service"), "{{service}}"),
             (rate("lamplighter_aws_retries_total", by="service"), "{{service}}, again"), unit="reqps", runbook="throttled")
    it.lines("Duration of calls", "With their retries; 95 % took no longer.",
             (quantile(0.95, "lamplighter_aws_request_duration_seconds", by="service"), "{{service}}"), unit="s", width=12)
    it.lines("Slowest operations", "The five whose mean is greatest.",
             ("topk(5, " + rate("lamplighter_aws_request_duration_seconds_sum", by="service, operation") + " / ("
              + rate("lamplighter_aws_request_duration_seconds_count", by="service, operation") + " > 0))",
              "{{service}} {{operation}}"), unit="s", width=12)

    it.row("Admission and leases")
    it.lines("Builds against the budget", "The part of the budget that is at work. At 1, others wait.",
             (f'{total("lamplighter_builds_in_flight")} / {total("lamplighter_builds_limit")}', "in use"),
             unit="percentunit", top=1)
    it.lines("Waiting for a build", "Builds that wait for their turn.", (total("lamplighter_admission_waiting"), "waiting"))
    it.lines("Admission paused", "1 while no build is let through because the account is short of something.",
             each("lamplighter_admission_paused"), runbook="admission-paused")
    it.lines("Shards held", "By whom. They should add up to all of them.", each("lamplighter_shards_held"), stacked=True,
             runbook="shards-not-held")
    it.lines("Shards that came and went", "`lost`: not renewed in time, or taken by another replica.",
             (events("lamplighter_lease_transitions_total", by="transition"), "{{transition}}"), counts=True)
    it.lines("Renewals of leases", "`failed`: no usable answer in time; `lost`: somebody else was first.",
             (rate("lamplighter_lease_renewals_total", by="result"), "{{result}}"), unit="cps")
    it.lines("Age of the oldest lease", "Since it was renewed. Above a third of `lease_duration`: renewals fail.",
             each("lamplighter_lease_renewal_age_seconds"), unit="s", width=24)

    it.row("Process")
    it.lines("Processor", "Processor time, as a part of one core.",
             (rate("process_cpu_seconds_total", by="instance"), "{{instance}}"), unit="percentunit")
    it.lines("Memory", "Resident memory.", each("process_resident_memory_bytes"), unit="bytes")
    it.lines("Open files", "As a part of how many there may be.",
             (f'{of("process_open_fds")} / {of("process_max_fds")}', "{{instance}}"), unit="percentunit", top=1)
    return it.build()
