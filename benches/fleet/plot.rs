//! The plots, as SVG on a white panel, so that they can be read in light and dark mode.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::counts::{PerSecond, quantile};
use crate::{AWAY, BEFORE, Counts, PEAK_AT_MOST, RECOVERED, Runs, WAIT_AT_MOST, peak, steady_peak};

type Done = Result<(), Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Colours that differ in lightness too, from the palette of Okabe and Ito.
const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(213, 94, 0);
const GREEN: RGBColor = RGBColor(0, 158, 115);
const GREY: RGBColor = RGBColor(90, 90, 90);
const SHADE: RGBColor = RGBColor(225, 225, 225);

const WIDTH: u32 = 960;
const PANEL_HEIGHT: u32 = 330;

/// A point of a plot stands for the busiest of this many seconds.
const BIN: usize = 5;

/// One line of a plot over time: its name, its colour, and what was counted.
type Line<'a> = (&'a str, RGBColor, PerSecond);

/// Draws every plot into the folder.
pub(crate) fn draw(docs: &Path, runs: &Runs) -> Done {
    renewals(&docs.join("fleet-renewals.svg"), runs)?;
    curve(&docs.join("fleet-wait.svg"), runs)?;
    calls(&docs.join("fleet-probes.svg"), runs)
}

fn renewals(path: &Path, runs: &Runs) -> Done {
    let root = SVGBackend::new(path, (WIDTH, 4 * PANEL_HEIGHT)).into_drawing_area();
    root.fill(&WHITE)?;
    let panels = root.split_evenly((4, 1));
    let all = |counts: &Counts| ("all renewals", ORANGE, counts.renewals());
    let working = "by clients whose token works";
    let lines = |counts: &Counts| [all(counts), (working, BLUE, counts.working.clone())];
    let sign_ins = ("sign-ins", GREEN, runs.log_out.sign_ins.clone());
    let logged_out = [sign_ins, all(&runs.log_out)];
    let limit = Some(PEAK_AT_MOST * steady_peak(&runs.ours));
    let title = ["Our policy", "renewals per second"];
    over_time(&panels[0], title, &lines(&runs.ours), limit)?;
    let title = ["No jitter", "renewals per second"];
    over_time(&panels[1], title, &lines(&runs.no_jitter), limit)?;
    let title = ["Log everyone out", "requests per second"];
    over_time(&panels[2], title, &logged_out, None)?;
    together(&panels[3], runs)?;
    root.present()?;
    Ok(())
}

/// A fleet that signed in together, and no outage: minutes count from the sign-in.
fn together(area: &Area, runs: &Runs) -> Done {
    let no_jitter = runs.together_no_jitter.renewals();
    let top = f64::from(peak(&no_jitter, (0, no_jitter.len() as u64))) * 1.1;
    let title = "All signed in within 10 s, no outage";
    let axes = ["minutes since the sign-in", "renewals per second"];
    let until = no_jitter.len() as f64 / 60.0;
    let mut chart = frame(area, title, axes, (0.0, until), top)?;
    let lines: [Line; 2] = [
        ("no jitter", ORANGE, no_jitter),
        ("our policy", BLUE, runs.together.renewals()),
    ];
    for (name, colour, counted) in lines {
        let points = (0..).zip(counted);
        let points = points.map(|(second, count)| (f64::from(second) / 60.0, f64::from(count)));
        line(&mut chart, name, colour.stroke_width(2), points)?;
    }
    legend(&mut chart)
}

fn calls(path: &Path, runs: &Runs) -> Done {
    let root = SVGBackend::new(path, (WIDTH, PANEL_HEIGHT)).into_drawing_area();
    root.fill(&WHITE)?;
    let lines = [
        ("calls", BLUE, runs.ours.calls.clone()),
        ("probes", ORANGE, runs.ours.probes.clone()),
    ];
    let title = ["Calls and probes, our policy", "requests per second"];
    over_time(&root, title, &lines, None)?;
    root.present()?;
    Ok(())
}

/// Counts against the minutes since the outage began.
fn over_time(area: &Area, [title, unit]: [&str; 2], lines: &[Line], limit: Option<f64>) -> Done {
    let seconds = lines[0].2.len() as u64;
    let top = lines.iter().map(|line| peak(&line.2, (0, seconds)));
    // With room for the legend.
    let top = f64::from(top.max().unwrap_or(1)) * 1.4;
    let minute = |second: u64| (second as f64 - BEFORE as f64) / 60.0;
    let axes = ["minutes since the outage began", unit];
    let mut chart = frame(area, title, axes, (minute(0), minute(seconds)), top)?;
    let shaded = [(minute(AWAY.0), 0.0), (minute(AWAY.1), top)];
    chart
        .draw_series([Rectangle::new(shaded, SHADE.mix(0.6).filled())])?
        .label("the server is away")
        .legend(|(x, y)| Rectangle::new([(x, y - 5), (x + 20, y + 5)], SHADE.filled()));
    for (name, colour, counted) in lines {
        let points = counted.chunks(BIN).zip(0_u64..).map(|(bin, place)| {
            let busiest = bin.iter().copied().max().unwrap_or(0);
            (minute(place * BIN as u64), f64::from(busiest))
        });
        line(&mut chart, name, colour.stroke_width(2), points)?;
    }
    if let Some(limit) = limit {
        let ends = [(minute(0), limit), (minute(seconds), limit)];
        line(
            &mut chart,
            "twice the steady peak",
            GREY.stroke_width(1),
            ends,
        )?;
    }
    legend(&mut chart)
}

fn curve(path: &Path, runs: &Runs) -> Done {
    let root = SVGBackend::new(path, (WIDTH, PANEL_HEIGHT + 60)).into_drawing_area();
    root.fill(&WHITE)?;
    let curve = runs.curve();
    let points = |renewals: fn(&Counts) -> PerSecond| -> Vec<(f64, f64)> {
        let counts = curve.iter().map(|(_, counts)| counts);
        counts
            .map(|counts| {
                let busiest = peak(&renewals(counts), RECOVERED);
                (quantile(&counts.waits, 0.99), f64::from(busiest))
            })
            .collect()
    };
    let all = points(Counts::renewals);
    let working = points(|counts| counts.working.clone());
    let right = all.iter().map(|point| point.0).fold(0.0, f64::max) * 1.1;
    let top = all.iter().map(|point| point.1).fold(0.0, f64::max) * 1.15;
    let title = "Busiest second of the recovery against the wait, by longest pause";
    let axes = [
        "wait of people whose token has expired, 99th percentile, in seconds from the recovery",
        "renewals per second",
    ];
    let mut chart = frame(&root, title, axes, (0.0, right), top)?;
    for (name, colour, points) in [
        ("all renewals", ORANGE, &all),
        ("by clients whose token works", BLUE, &working),
    ] {
        line(
            &mut chart,
            name,
            colour.stroke_width(2),
            points.iter().copied(),
        )?;
        let dots = points.iter();
        chart.draw_series(dots.map(|dot| Circle::new(*dot, 4, colour.filled())))?;
    }
    let labels = curve.iter().zip(&all).map(|((pause, _), (wait, all))| {
        let style = ("sans-serif", 14).into_font().color(&BLACK);
        let place = (wait + right / 150.0, all + top / 15.0);
        Text::new(format!("{pause} s"), place, style)
    });
    chart.draw_series(labels)?;
    let ends = [(WAIT_AT_MOST, 0.0), (WAIT_AT_MOST, top)];
    line(&mut chart, "at most 30 s", GREY.stroke_width(1), ends)?;
    legend(&mut chart)?;
    root.present()?;
    Ok(())
}

fn frame<'a, 'b>(
    area: &'a Area<'b>,
    title: &str,
    [x, y]: [&str; 2],
    (left, right): (f64, f64),
    top: f64,
) -> Result<Chart<'a, 'b>, Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(left..right, 0.0..top)?;
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .x_labels(16)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|count| format!("{count:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    Ok(chart)
}

/// Draws a line, and names it in the legend.
fn line<'a, 'b: 'a>(
    chart: &mut Chart<'a, 'b>,
    name: &str,
    style: ShapeStyle,
    points: impl IntoIterator<Item = (f64, f64)>,
) -> Done {
    chart
        .draw_series(LineSeries::new(points, style))?
        .label(name)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    Ok(())
}

fn legend<'a, 'b: 'a>(chart: &mut Chart<'a, 'b>) -> Done {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.filled())
        .border_style(GREY)
        .draw()?;
    Ok(())
}
