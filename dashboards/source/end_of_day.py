"""The end of the day: what is due, what is gone, what is left, and what that costs."""

from kit import Board, NONE_IS_BEST, NONE_IS_FINE, at_least, at_most, events, of, quantile, same, total, within

# Each replica tells what its own apps cost; orphans are nobody's, so each tells of all of them.
CARED, ORPHANED = 'reason!="orphan"', 'reason="orphan"'


def board():
    it = Board("end-of-day", "What is due to be gone, what is gone, what is left, and what that costs.", since="now-24h")

    it.row("Now")
    it.stat("Due", "Apps that should be gone and are not yet.", total("lamplighter_teardown_due"), width=3)
    it.stat("Overdue", "Of these, apps that have been due for longer than `report.late_after`.",
            total("lamplighter_teardown_overdue"), colours=NONE_IS_FINE, runbook="teardown-late", width=3)
    it.stat("Gone within 15 min", "Of the teardowns in the range above; the objective is 99 %.",
            within("lamplighter_teardown_delay_seconds", 900), unit="percentunit", colours=at_least(0.99, 0.95), decimals=1,
            runbook="teardown-budget-burn", width=3)
    it.stat("Exempt", "Apps that are up now because of an exemption.", total("lamplighter_exemptions"), width=3)
    it.stat("Cost per hour", "What runs now costs per hour, in the currency of the configuration.",
            f'{total("lamplighter_cost_per_hour", CARED)} + {same("lamplighter_cost_per_hour", ORPHANED)}', decimals=2, width=3)
    it.stat("Saved", "What stops in the range above have saved against running on.",
            events("lamplighter_saved_cost_total", over="$__range"), decimals=2, width=3)
    it.stat("Leftovers", "Apps of which something survived its destroy.", same("lamplighter_leftovers"), colours=NONE_IS_FINE,
            runbook="leftovers", width=3)
    it.stat("Last report", "How long ago the last report was made.",
            f'time() - max ({of("lamplighter_last_report_timestamp_seconds")})', unit="s", colours=at_most(90000, 93600),
            runbook="report-missing", width=3)

    it.row("Due and gone")
    it.lines("Due", "Apps that should be gone and are not yet; overdue ones for longer than `report.late_after`.",
             (total("lamplighter_teardown_due"), "due"), (total("lamplighter_teardown_overdue"), "overdue"),
             runbook="teardown-late")
    it.lines("From due to gone", "Over the last hour. The line is the objective: 99 % within fifteen minutes.",
             (quantile(0.5, "lamplighter_teardown_delay_seconds", over="1h"), "half"),
             (quantile(0.99, "lamplighter_teardown_delay_seconds", over="1h"), "99 %"),
             unit="s", colours=((None, "green"), (900, "red")), runbook="teardown-budget-burn")
    it.lines("Destroys ended", "Destroy builds by how they ended; all but `succeeded` are tried again.",
             (events("lamplighter_build_duration_seconds_count", 'kind="destroy"', by="outcome"), "{{outcome}}"), counts=True,
             runbook="destroys-failing")
    it.lines("On their way out", "Apps that are being stopped or destroyed, and those that are.",
             (total("lamplighter_apps", 'phase=~"Suspending|Suspended|Destroying|Destroyed"', by="phase"), "{{phase}}"),
             stacked=True, width=12)
    it.lines("Exemptions", "Apps that are up now because of an exemption.",
             (total("lamplighter_exemptions"), "exempt"), width=12)

    it.row("Cost")
    it.lines("Cost per hour", "What runs now, by why it runs: wanted, exempt, overdue to be gone, or asked for by nothing.",
             (total("lamplighter_cost_per_hour", CARED, by="reason"), "{{reason}}"),
             (same("lamplighter_cost_per_hour", ORPHANED, by="reason"), "{{reason}}"), unit="none", stacked=True)
    it.lines("Saved cost", "What stops have saved against running on, in the currency of the configuration.",
             (events("lamplighter_saved_cost_total"), "saved"), unit="none", counts=True)
    it.lines("Saved and orphaned time", "For how long apps were not up because they were stopped, and for how long orphans were there.",
             (events("lamplighter_saved_time_seconds_total"), "saved"),
             (events("lamplighter_orphan_time_seconds_total"), "orphans"), unit="s", counts=True)

    it.row("What is left, and what is held")
    it.bars("Orphans", "Apps that AWS shows and that nothing asks for.", same("lamplighter_orphans", by="state"), "{{state}}",
            colours=NONE_IS_BEST, runbook="orphans", width=6)
    it.lines("Leftovers", "Apps of which something survived its destroy.", (same("lamplighter_leftovers"), "leftovers"),
             runbook="leftovers", width=6)
    it.lines("Deletions held", "Rows that vanished at once and wait for an operator's approval.",
             (same("lamplighter_deletions_held"), "rows"), runbook="mass-deletion-held", width=6)
    it.lines("Paused", "Whether the fleet is paused, and apps that are paused one by one.",
             (same("lamplighter_fleet_paused"), "the fleet"), (same("lamplighter_apps_paused"), "apps"),
             runbook="fleet-paused", width=6)

    it.row("Warnings")
    it.lines("Stops told beforehand", "Warnings, each once for its deadline.",
             (events("lamplighter_warnings_total"), "told"), counts=True, width=12)
    it.lines("Deliveries to the webhook", "`failed` is tried again, `given_up` is not.",
             (events("lamplighter_webhook_deliveries_total", by="outcome"), "{{outcome}}"), counts=True,
             runbook="webhook-gives-up", width=12)
    return it.build()
