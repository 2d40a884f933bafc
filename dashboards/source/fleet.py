"""The fleet: what apps there are, how soon they are ready, and what their builds come to."""

from kit import Board, NONE_IS_BEST, at_least, at_most, events, of, quantile, same, total, within


def board():
    it = Board("fleet", "What apps there are, how soon they are ready, and what their builds come to.")
    apps = lambda *phases: total("lamplighter_apps", f'phase=~"{"|".join(phases)}"')

    it.row("Now")
    it.stat("Ready", "Apps that work and answer at their URL.", apps("Ready"), width=3)
    it.stat("Under way", "Apps that are asked for and not ready yet.", apps("Pending", "Deploying", "Starting"), width=3)
    it.stat("Asleep", "Apps whose tasks are stopped; they resume without a build.", apps("Suspending", "Suspended"), width=3)
    it.stat("Failed", "Apps that were tried too often, or were not ready in time.", apps("Failed"), colours=at_most(1, 10),
            runbook="apps-failed", width=3)
    it.stat("Refused", "Apps that are asked for in a way that can't be; their status says why.", apps("Refused"),
            colours=NONE_IS_BEST, width=3)
    it.stat("Unreadable rows", "Rows of the desired table that the last sweep could not read.",
            same("lamplighter_rows_unreadable"), colours=NONE_IS_BEST, width=3)
    it.stat("Ready within 10 min", "Of the requests in the range above; the objective is 95 %.",
            within("lamplighter_time_to_ready_seconds", 600), unit="percentunit", colours=at_least(0.95, 0.9), decimals=1,
            runbook="ready-budget-burn", width=3)
    it.stat("Oldest build", "How long ago the oldest build that is not over was intended.",
            f'max ({of("lamplighter_oldest_build_seconds")})', unit="s", colours=at_most(3900, 5400), runbook="build-stuck",
            width=3)

    it.row("Apps")
    it.lines("Apps by phase", "All apps that rows ask for or that something is still there of.",
             (total("lamplighter_apps", by="phase"), "{{phase}}"), stacked=True, width=12)
    it.lines("Time to ready", "From a request to the first time that its app is ready, over the last hour. The line is the "
             "objective: 95 % within ten minutes.",
             (quantile(0.5, "lamplighter_time_to_ready_seconds", over="1h"), "half"),
             (quantile(0.95, "lamplighter_time_to_ready_seconds", over="1h"), "95 %"),
             unit="s", colours=((None, "green"), (600, "red")), runbook="ready-budget-burn", width=12)
    it.lines("Answered requests", "Requests whose apps became ready.",
             (events("lamplighter_time_to_ready_seconds_count"), "answered"), counts=True, width=8)
    it.lines("Refused and failed", "What waits for the person who asked.",
             (total("lamplighter_apps", 'phase=~"Refused|Failed"', by="phase"), "{{phase}}"), runbook="apps-failed")
    it.lines("Unreadable rows", "Rows of the desired table that the last sweep could not read.",
             (same("lamplighter_rows_unreadable"), "rows"))

    it.row("Builds")
    it.lines("Builds at work", "Operations that are not settled, against the budget; what waits is not among them.",
             (total("lamplighter_builds_in_flight"), "at work"), (total("lamplighter_builds_limit"), "at most"),
             (total("lamplighter_admission_waiting"), "waiting"), runbook="build-stuck")
    it.lines("Begun", "Builds that were written down to be started.",
             (events("lamplighter_builds_started_total", by="kind"), "{{kind}}"), counts=True)
    it.lines("Deploys ended", "`failed` is past its gate, `never_ran` before, `abandoned` called off, `lost` not known any "
             "more. Destroys are on the dashboard End of day.",
             (events("lamplighter_build_duration_seconds_count", 'kind="apply"', by="outcome"), "{{outcome}}"), counts=True,
             runbook="apps-failed")
    it.lines("Duration of builds", "From the intent of a build to its success, over the last hour; 95 % took no longer.",
             (quantile(0.95, "lamplighter_build_duration_seconds", 'outcome="succeeded"', by="kind", over="1h"), "{{kind}}"),
             unit="s", width=12)
    it.lines("Build time of the month", "How long builds took in this calendar month, each rounded up to a minute, against the allowance.",
             (same("lamplighter_build_time_used_seconds"), "used"), (same("lamplighter_build_time_allowance_seconds"), "allowance"),
             unit="s", runbook="build-minutes-low", width=12)
    return it.build()
