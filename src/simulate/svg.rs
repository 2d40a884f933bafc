//! A simulation as a picture: a row for each app below its schedule, with bars for what it is and marks for what happens.
//! Plain SVG with titles; no script, and no text of anybody's that is not escaped.

use std::collections::BTreeMap;
use std::io::{self, Write};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::calendar::{self, Day};
use super::parts::{self, State, count, long, verb, wall};
use super::{Life, Simulation, Span};
use crate::client::paper::shown;
use crate::planner::forecast::{Act, Change};

/// The most apps of a picture that a person can read.
pub const APPS_MAX: usize = 500;

const LEFT: f64 = 176.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 118.0;
const HEADING: f64 = 34.0;
const STYLE: &str = "
svg{--paper:#fff;--ink:#1c2430;--soft:#5c6675;--line:#dfe3e8;--band:#f5f7f9;--up:#2a9d74;--asleep:#b9c4d3;--held:#e0a93b;--gone:#c8372d;--warn:#d97706;--off:#e9e4f5;--clock:#dbeafe;font-family:system-ui,'DejaVu Sans',sans-serif;font-size:12px;background:var(--paper)}
@media (prefers-color-scheme:dark){svg{--paper:#12161c;--ink:#e6e9ee;--soft:#98a2b1;--line:#2a313b;--band:#181d25;--up:#35b98a;--asleep:#4a5668;--held:#c9942f;--gone:#f0625a;--warn:#f59e0b;--off:#2b2540;--clock:#1b3050}}
text{fill:var(--ink)}.soft{fill:var(--soft)}.small{font-size:9px}.head{font-weight:600;stroke:var(--paper);stroke-width:5px;paint-order:stroke}.title{font-size:16px;font-weight:600}
.paper{fill:var(--paper)}.band{fill:var(--band)}.off{fill:var(--off)}.clock{fill:var(--clock)}.grid{stroke:var(--line)}.noon{stroke:var(--line);stroke-dasharray:1 3}
.up{fill:var(--up)}.asleep{fill:var(--asleep)}.held{fill:url(#held)}.hatch{stroke:var(--held);stroke-width:3}
.stop{stroke:var(--ink);stroke-width:1.6}.wake{fill:var(--up);stroke:var(--paper);stroke-width:.8}.warn{fill:var(--warn);stroke:var(--paper);stroke-width:.8}.destroy{stroke:var(--gone);stroke-width:2.2;stroke-linecap:round;fill:none}
";

/// The measures of one picture.
struct Frame {
    span: Span,
    zone: TimeZone,
    per_day: f64,
    row: f64,
}

impl Frame {
    fn x(&self, at: Timestamp) -> f64 {
        let since = at.min(self.span.to).duration_since(self.span.from);
        LEFT + since.as_secs_f64() / 86_400.0 * self.per_day
    }

    fn right(&self) -> f64 {
        self.x(self.span.to)
    }
}

/// The apps of one schedule and zone.
struct Section<'a, 'p> {
    lives: Vec<&'a Life<'p>>,
    days: Vec<Day>,
}

/// Draws a simulation.
pub fn svg(simulation: &Simulation<'_>, out: &mut dyn Write) -> io::Result<()> {
    let sections = sections(simulation);
    let days = simulation
        .span
        .to
        .duration_since(simulation.span.from)
        .as_secs_f64()
        / 86_400.0;
    let frame = Frame {
        span: simulation.span,
        zone: commonest_zone(simulation),
        per_day: (1120.0 / days).clamp(7.0, 160.0),
        row: if simulation.lives.len() <= 60 { 24.0 } else { 15.0 },
    };
    let rows: f64 = sections
        .iter()
        .map(|section| {
            HEADING + frame.row * f64::from(u32::try_from(section.lives.len()).unwrap_or(u32::MAX))
        })
        .sum();
    let (width, height) = ((frame.right() + RIGHT).max(760.0), TOP + rows + 28.0);
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" aria-labelledby=\"what\">"
    )?;
    head(simulation, &frame, out)?;
    let mut y = TOP;
    for section in &sections {
        y = draw(section, &frame, y, out)?;
    }
    axis(&frame, y, out)?;
    // Bars and marks lie on the lines of the axis.
    y = TOP;
    for section in &sections {
        y += HEADING;
        heading(section.lives[0], &frame, y, out)?;
        for life in &section.lives {
            writeln!(out, "<g>")?;
            bars(life, &frame, y, out)?;
            writeln!(out, "</g>")?;
            y += frame.row;
        }
    }
    writeln!(out, "</svg>")
}

fn sections<'a, 'p>(simulation: &'a Simulation<'p>) -> Vec<Section<'a, 'p>> {
    let mut found: BTreeMap<(&str, &str), Vec<&Life<'p>>> = BTreeMap::new();
    for life in &simulation.lives {
        found
            .entry((life.schedule_name(), life.zone_name()))
            .or_default()
            .push(life);
    }
    let sections = found.into_values().map(|lives| Section {
        days: calendar::days(simulation.span, &lives[0].zone, lives[0].schedule),
        lives,
    });
    sections.collect()
}

/// The zone that most apps have is the one of the axis.
fn commonest_zone(simulation: &Simulation<'_>) -> TimeZone {
    let mut counts: BTreeMap<&str, (usize, &TimeZone)> = BTreeMap::new();
    for life in &simulation.lives {
        counts.entry(life.zone_name()).or_insert((0, &life.zone)).0 += 1;
    }
    let most = counts.into_values().max_by_key(|(count, _)| *count);
    most.map_or(TimeZone::UTC, |(_, zone)| zone.clone())
}

fn head(simulation: &Simulation<'_>, frame: &Frame, out: &mut dyn Write) -> io::Result<()> {
    let date = |at: Timestamp| parts::day(frame.zone.to_datetime(at).date());
    let apps = count(simulation.lives.len(), "app", "apps");
    let last = frame
        .span
        .to
        .checked_sub(SignedDuration::from_nanos(1))
        .unwrap_or(frame.span.to);
    let title = format!("{apps}, {} to {}", date(frame.span.from), date(last));
    let zone = format!(
        "Times of the axis: {}. Point at anything for its time and rule.",
        frame.zone.iana_name().unwrap_or("UTC")
    );
    writeln!(
        out,
        "<title id=\"what\">{}</title>\n<style>{STYLE}</style>",
        safe(&title)
    )?;
    writeln!(
        out,
        "<defs><pattern id=\"held\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><line class=\"hatch\" y2=\"6\"/></pattern></defs>"
    )?;
    writeln!(out, "<rect class=\"paper\" width=\"100%\" height=\"100%\"/>")?;
    writeln!(
        out,
        "<text class=\"title\" x=\"16\" y=\"28\">{}</text>",
        safe(&title)
    )?;
    writeln!(
        out,
        "<text class=\"soft\" x=\"16\" y=\"47\">{}</text>",
        safe(&zone)
    )?;
    let mut x = 16.0;
    for (draw, says, width) in LEGEND {
        writeln!(
            out,
            "<g transform=\"translate({x:.0} 60)\">{draw}<text class=\"soft\" x=\"28\" y=\"11\">{says}</text></g>"
        )?;
        x += width;
    }
    Ok(())
}

const LEGEND: [(&str, &str, f64); 9] = [
    (
        "<rect class=\"up\" y=\"2\" width=\"22\" height=\"10\" rx=\"2\"/>",
        "up",
        56.0,
    ),
    (
        "<rect class=\"asleep\" y=\"5\" width=\"22\" height=\"4\" rx=\"2\"/>",
        "suspended",
        100.0,
    ),
    (
        "<rect class=\"held\" y=\"2\" width=\"22\" height=\"10\"/>",
        "held while closed",
        140.0,
    ),
    (
        "<path class=\"wake\" d=\"M7 12l5-9 5 9z\"/>",
        "start, resume",
        116.0,
    ),
    ("<path class=\"warn\" d=\"M12 2l5 5-5 5-5-5z\"/>", "warning", 88.0),
    ("<path class=\"stop\" d=\"M12 1v12\"/>", "stop", 66.0),
    (
        "<path class=\"destroy\" d=\"M8 3l8 8m0-8l-8 8\"/>",
        "destroyed",
        96.0,
    ),
    (
        "<rect class=\"off\" width=\"22\" height=\"14\"/>",
        "day off",
        84.0,
    ),
    (
        "<rect class=\"clock\" width=\"22\" height=\"14\"/>",
        "clocks change",
        100.0,
    ),
];

/// The lines of the days, and what they are called.
fn axis(frame: &Frame, bottom: f64, out: &mut dyn Write) -> io::Result<()> {
    for day in calendar::days(frame.span, &frame.zone, None) {
        let x = frame.x(day.from);
        let called = label(frame, day.date);
        if called.is_some() || frame.per_day >= 12.0 {
            writeln!(out, "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom:.1}\"/>")?;
        }
        let room = if frame.per_day >= 30.0 {
            frame.x(day.to) - x
        } else {
            frame.right() - x
        };
        if let Some(called) =
            called.filter(|called| room > 6.0 * f64::from(u32::try_from(called.len()).unwrap_or(0)))
        {
            let y = if frame.per_day >= 60.0 {
                TOP - 18.0
            } else {
                TOP - 6.0
            };
            writeln!(out, "<text x=\"{:.1}\" y=\"{y:.1}\">{called}</text>", x + 3.0)?;
        }
        if frame.per_day >= 60.0 {
            hours(frame, &day, bottom, out)?;
        }
    }
    writeln!(
        out,
        "<path class=\"grid\" d=\"M{LEFT} {TOP}H{:.1}M{:.1} {TOP}V{bottom:.1}\"/>",
        frame.right(),
        frame.right()
    )
}

/// What a day is called on the axis, if it is: each, or Mondays, or the first of each month.
fn label(frame: &Frame, date: Date) -> Option<String> {
    let monday = date.weekday() == jiff::civil::Weekday::Monday;
    match frame.per_day {
        wide if wide >= 60.0 => Some(date.strftime("%a %-d %b").to_string()),
        middle if middle >= 30.0 => Some(date.strftime("%a %-d").to_string()),
        narrow if narrow >= 10.0 => monday.then(|| date.strftime("%-d %b").to_string()),
        _ => (date.day() == 1).then(|| date.strftime("%b %Y").to_string()),
    }
}

fn hours(frame: &Frame, day: &Day, bottom: f64, out: &mut dyn Write) -> io::Result<()> {
    for hour in [6, 12, 18] {
        let Ok(at) = day.date.at(hour, 0, 0, 0).to_zoned(frame.zone.clone()) else {
            continue;
        };
        let at = at.timestamp();
        if at < day.from || at >= day.to {
            continue;
        }
        let x = frame.x(at);
        writeln!(
            out,
            "<path class=\"noon\" d=\"M{x:.1} {TOP}V{bottom:.1}\"/><text class=\"soft small\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{:.1}\">{hour:02}</text>",
            TOP - 5.0
        )?;
    }
    Ok(())
}

/// The shades and the names of a section; tells where the next one begins.
fn draw(section: &Section<'_, '_>, frame: &Frame, top: f64, out: &mut dyn Write) -> io::Result<f64> {
    let rows = f64::from(u32::try_from(section.lives.len()).unwrap_or(u32::MAX));
    let (first, height) = (top + HEADING, rows * frame.row);
    for (n, _) in section.lives.iter().enumerate().filter(|(n, _)| n % 2 == 0) {
        let y = first + f64::from(u32::try_from(n).unwrap_or(u32::MAX)) * frame.row;
        writeln!(
            out,
            "<rect class=\"band\" x=\"0\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{}\"/>",
            frame.right(),
            frame.row
        )?;
    }
    for day in section.days.iter().filter(|day| day.off || day.clocks.is_some()) {
        let (x, width) = (frame.x(day.from), frame.x(day.to) - frame.x(day.from));
        let date = parts::day(day.date);
        let (class, says) = match day.clocks {
            Some(clocks) => {
                let way = if clocks.by.is_negative() {
                    "back"
                } else {
                    "forward"
                };
                ("clock", format!("{date}: clocks go {way} {}", long(clocks.by)))
            }
            None => ("off", format!("{date}: day off")),
        };
        writeln!(
            out,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{first:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{}</title></rect>",
            safe(&says)
        )?;
    }
    for (n, life) in section.lives.iter().enumerate() {
        let y = first + f64::from(u32::try_from(n).unwrap_or(u32::MAX)) * frame.row + frame.row / 2.0 + 4.0;
        let whole = format!("{}: {} of {}", life.id, life.entry, life.user);
        let size = if frame.row < 20.0 {
            " style=\"font-size:10px\""
        } else {
            ""
        };
        writeln!(
            out,
            "<text x=\"16\" y=\"{y:.1}\"{size}>{}<title>{}</title></text>",
            safe(&cut(life.id.as_str())),
            safe(&whole)
        )?;
    }
    Ok(first + height)
}

/// What a section is called. It lies on the lines of the axis, and makes room for itself.
fn heading(life: &Life<'_>, frame: &Frame, first: f64, out: &mut dyn Write) -> io::Result<()> {
    let zone = if life.zone_name() == frame.zone.iana_name().unwrap_or("UTC") {
        String::new()
    } else {
        format!(", whose days are those of {}", life.zone_name())
    };
    let heading = match life.schedule {
        Some(schedule) => format!("{}{zone}", schedule.name),
        None => format!("no schedule{zone}"),
    };
    writeln!(
        out,
        "<text class=\"head\" x=\"16\" y=\"{:.1}\">{}</text>",
        first - 9.0,
        safe(&heading)
    )
}

/// What an app is from one change to the next, and its marks.
fn bars(life: &Life<'_>, frame: &Frame, top: f64, out: &mut dyn Write) -> io::Result<()> {
    let mut state = State::at_first(life.first);
    let (mut from, mut rule) = (frame.span.from, life.first.rule);
    let moves = life.changes.iter().filter(|change| change.act != Act::Warn);
    for change in moves {
        bar(life, frame, top, (state, from, change.at, rule), out)?;
        (state, from, rule) = (state.after(change), change.at, change.rule);
    }
    bar(life, frame, top, (state, from, frame.span.to, rule), out)?;
    for change in &life.changes {
        mark(life, frame, top, change, out)?;
    }
    Ok(())
}

fn bar(
    life: &Life<'_>,
    frame: &Frame,
    top: f64,
    (state, from, to, rule): (State, Timestamp, Timestamp, &str),
    out: &mut dyn Write,
) -> io::Result<()> {
    let (class, share) = match state {
        State::Up => ("up", 0.62),
        State::Asleep => ("asleep", 0.22),
        State::Held => ("held", 0.62),
        State::Gone => return Ok(()),
    };
    let (x, width) = (frame.x(from), frame.x(to) - frame.x(from));
    if width <= 0.0 {
        return Ok(());
    }
    let height = frame.row * share;
    let y = top + (frame.row - height) / 2.0;
    let says = format!(
        "{}: {} from {} to {} ({rule})",
        life.id,
        state.word(),
        when(life, from),
        when(life, to)
    );
    writeln!(
        out,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\"><title>{}</title></rect>",
        safe(&says)
    )
}

fn mark(life: &Life<'_>, frame: &Frame, top: f64, change: &Change, out: &mut dyn Write) -> io::Result<()> {
    // Where days are narrow, marks would hide the bars; what is not there any more is told all the same.
    if frame.per_day < 20.0 && change.act != Act::Destroy {
        return Ok(());
    }
    let (x, y) = (frame.x(change.at), top + frame.row / 2.0);
    let r = if frame.row < 20.0 { 3.2 } else { 4.6 };
    let (class, path) = match change.act {
        Act::Warn => ("warn", format!("M{x:.1} {:.1}l{r} {r}-{r} {r}-{r}-{r}z", y - r)),
        Act::Start | Act::Resume => (
            "wake",
            format!(
                "M{:.1} {:.1}l{r}-{:.1} {r} {:.1}z",
                x - r,
                y + r,
                r * 1.8,
                r * 1.8
            ),
        ),
        Act::Suspend => ("stop", format!("M{x:.1} {:.1}v{:.1}", y - r * 1.7, r * 3.4)),
        Act::Destroy => (
            "destroy",
            format!(
                "M{:.1} {:.1}l{} {}m0-{}l-{} {}",
                x - r,
                y - r,
                2.0 * r,
                2.0 * r,
                2.0 * r,
                2.0 * r,
                2.0 * r
            ),
        ),
    };
    let says = format!(
        "{}: {} at {} ({})",
        life.id,
        verb(change.act),
        when(life, change.at),
        change.rule
    );
    writeln!(
        out,
        "<path class=\"{class}\" d=\"{path}\"><title>{}</title></path>",
        safe(&says)
    )
}

fn when(life: &Life<'_>, at: Timestamp) -> String {
    format!(
        "{} {}",
        parts::day(life.zone.to_datetime(at).date()),
        wall(at, &life.zone)
    )
}

/// A name as long as there is room for.
fn cut(name: &str) -> String {
    const ROOM: usize = 22;
    if name.chars().count() <= ROOM {
        return name.to_owned();
    }
    name.chars().take(ROOM - 1).chain(['…']).collect()
}

/// Text that is nothing but text in XML.
fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in shown(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Two code points that XML has no place for.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
