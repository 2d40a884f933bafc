"""What the dashboards have in common: variables, links, and the few kinds of panels, made with Grafana's own types."""

from grafana_foundation_sdk.builders import bargauge, common as parts, dashboard as build, prometheus, stat, timeseries
from grafana_foundation_sdk.models import common, dashboard as model

# What queries ask for. Replicas of one installation are told apart by `instance`.
WHERE = 'namespace=~"$namespace",job=~"$job",instance=~"$instance"'

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
RUNBOOKS = "https://example.com/lamplighter/runbooks"
BOARDS = {"fleet": "Fleet", "end-of-day": "End of day", "controller": "Controller"}

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "#808080"

# One colour for one value of a label, on whichever panel it is.
COLOURS = {
    "phase": {
        "Ready": GREEN, "Starting": "light-green", "Deploying": BLUE, "Pending": "light-blue",
        "Suspending": "light-purple", "Suspended": "purple", "Destroying": ORANGE, "Destroyed": GREY,
        "Refused": YELLOW, "Failed": RED,
    },
    "reason": {"wanted": GREEN, "exempt": BLUE, "overdue": RED, "orphan": ORANGE},
    "outcome": {"succeeded": GREEN, "failed": RED, "never_ran": ORANGE, "abandoned": GREY, "lost": "purple"},
}


def of(metric, labels=""):
    """One metric of what is chosen above the dashboard."""
    return f"{metric}{{{labels + ',' if labels else ''}{WHERE}}}"


def total(metric, labels="", by=""):
    """A gauge of which each replica has its part."""
    return f"sum{f' by ({by})' if by else ''} ({of(metric, labels)})"


def same(metric, labels="", by=""):
    """A gauge that each replica of an installation has alike."""
    inner = f"namespace, job{', ' + by if by else ''}"
    return f"sum{f' by ({by})' if by else ''} (max by ({inner}) ({of(metric, labels)}))"


def rate(metric, labels="", by=""):
    """A counter, as so many in a second."""
    return f"sum{f' by ({by})' if by else ''} (rate({of(metric, labels)}[$__rate_interval]))"


def events(metric, labels="", by="", over="$__interval"):
    """A counter, as so many within a time: from one point to the next, so that no event is counted twice."""
    return f"sum{f' by ({by})' if by else ''} (increase({of(metric, labels)}[{over}]))"


def quantile(part, metric, labels="", by="", over="$__rate_interval"):
    """The value that this part of what a histogram counted does not exceed."""
    keep = f"le, {by}" if by else "le"
    return f"histogram_quantile({part}, sum by ({keep}) (rate({of(metric + '_bucket', labels)}[{over}])))"


def within(metric, bound, over="$__range"):
    """The part of what a histogram counted that is at most `bound`."""
    fast = events(metric + "_bucket", f'le="{bound}"', over=over)
    return f"{fast} / {events(metric + '_count', over=over)}"


def steps(*pairs):
    """Colours from a value on; the first pair has the colour below all of them."""
    made = build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE)
    return made.steps([model.Threshold(value=value, color=colour) for value, colour in pairs])


FINE = ((None, GREEN),)
NONE_IS_FINE = ((None, GREEN), (1, RED))
NONE_IS_BEST = ((None, GREEN), (1, YELLOW))


def at_most(warning, critical):
    return ((None, GREEN), (warning, YELLOW), (critical, RED))


def at_least(warning, critical):
    return ((None, RED), (critical, YELLOW), (warning, GREEN))


class Board:
    """One dashboard, to which panels are added from left to right."""

    def __init__(self, slug, description, since="now-6h"):
        self._ids = 0
        self._board = (
            build.Dashboard(f"Lamplighter / {BOARDS[slug]}")
            .uid(f"lamplighter-{slug}").description(description).tags(["lamplighter"])
            .time(since, "now").refresh("30s").timezone("browser").readonly()
            .tooltip(model.DashboardCursorSync.CROSSHAIR)
            .with_variable(build.DatasourceVariable("datasource").label("Data source").type("prometheus"))
            .with_variable(_choice("namespace", "Namespace", "lamplighter_build_info"))
            .with_variable(_choice("job", "Job", 'lamplighter_build_info{namespace=~"$namespace"}'))
            .with_variable(_choice("instance", "Instance", 'lamplighter_build_info{namespace=~"$namespace",job=~"$job"}', True))
            .with_variable(build.ConstantVariable("runbooks").label("Where the runbooks are").value(RUNBOOKS))
        )
        for other, title in BOARDS.items():
            if other != slug:
                link = build.DashboardLink(title).type(model.DashboardLinkType.LINK).url(f"/d/lamplighter-{other}")
                self._board.link(link.icon("dashboard").include_vars(True).keep_time(True))
        link = build.DashboardLink("Runbooks").type(model.DashboardLinkType.LINK).url("${runbooks}")
        self._board.link(link.icon("doc").target_blank(True))

    def row(self, title):
        self._ids += 1
        self._board.with_row(build.Row(title).id(self._ids))

    def stat(self, title, text, query, unit="short", colours=FINE, runbook=None, width=4, legend="", decimals=None):
        reduce = parts.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
        panel = (
            stat.Panel().reduce_options(reduce).color_mode(common.BigValueColorMode.VALUE)
            .graph_mode(common.BigValueGraphMode.NONE if legend else common.BigValueGraphMode.AREA)
            .text_mode(common.BigValueTextMode.NAME if legend else common.BigValueTextMode.VALUE)
        )
        if decimals is not None:
            panel.decimals(decimals)
        self._add(panel, title, text, [(query, legend)], unit, colours, runbook, width, 4)

    def bars(self, title, text, query, legend, unit="short", colours=FINE, runbook=None, width=8):
        reduce = parts.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
        panel = (
            bargauge.Panel().reduce_options(reduce).display_mode(common.BarGaugeDisplayMode.BASIC)
            .orientation(common.VizOrientation.HORIZONTAL).min(0)
        )
        self._add(panel, title, text, [(query, legend)], unit, colours, runbook, width, 8)

    def lines(self, title, text, *queries, unit="short", colours=None, stacked=False, counts=False, runbook=None, width=8,
              top=None):
        """Lines over time; `stacked` where they add up, `counts` for events, which are drawn as bars."""
        calcs = ["sum"] if counts else ["lastNotNull"]
        legend = parts.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST).show_legend(True)
        panel = (
            timeseries.Panel().legend(legend.placement(common.LegendPlacement.BOTTOM).calcs(calcs))
            .tooltip(parts.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
            .line_width(1 if stacked else 2).min(0).show_points(common.VisibilityMode.NEVER)
            .fill_opacity(60 if counts else 30 if stacked else 0)
        )
        if counts:
            panel.draw_style(common.GraphDrawStyle.BARS)
        if stacked or counts:
            panel.stacking(parts.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
        if colours:
            style = parts.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
            panel.thresholds_style(style)
        if top is not None:
            panel.max(top)
        if unit in ("short", "cps", "reqps"):
            # Or else nothing at all is drawn on a scale up to a hundred.
            panel.axis_soft_max(1)
        if unit == "short":
            panel.decimals(0)
        # At least two scrapes lie in two minutes, without which there is no increase.
        self._add(panel, title, text, queries, unit, colours or FINE, runbook, width, 8, "2m" if counts else None)

    def _add(self, panel, title, text, queries, unit, colours, runbook, width, height, least=None):
        self._ids += 1
        panel.id(self._ids).title(title).description(text).datasource(SOURCE).unit(unit).thresholds(steps(*colours))
        panel.span(width).height(height)
        for place, (expression, legend) in enumerate(queries):
            query = prometheus.Dataquery().expr(expression).legend_format(legend or "__auto").range()
            if least:
                query.interval(least)
            panel.with_target(query.ref_id(chr(ord("A") + place)).datasource(SOURCE))
        for label, colours_of in COLOURS.items():
            if any(legend == "{{" + label + "}}" for _, legend in queries):
                for name, colour in colours_of.items():
                    fixed = {"mode": "fixed", "fixedColor": colour}
                    panel.override_by_name(name, [model.DynamicConfigValue("color", fixed)])
        if runbook:
            link = build.DashboardLink(f"Runbook: {runbook}").type(model.DashboardLinkType.LINK)
            panel.links([link.url("${runbooks}/" + runbook + ".md").target_blank(True)])
        self._board.with_panel(panel)

    def build(self):
        return self._board.build()


def _choice(name, label, series, several=False):
    chosen = model.VariableOption(selected=True, text="All", value="$__all")
    return (
        build.QueryVariable(name).label(label).query({"query": f"label_values({series}, {name})", "refId": name})
        .datasource(SOURCE).refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC).include_all(True)
        # Also what has no such label, as where Prometheus is not told of namespaces.
        .all_value(".*").multi(several).current(chosen)
    )
