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

/// One line of a plot.
struct Line<'a> {
    name: &'a str,
    colour: RGBColor,
    counted: PerSecond,
}

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
    let lines = |counts: &Counts| {
        let all = Line {
            name: "all renewals",
            colour: ORANGE,
            counted: counts.renewals(),
        };
        let working = Line {
            name: "by clients whose token works",
            colour: BLUE,
            counted: counts.working.clone(),
        };
        vec![all, working]
    };
    let limit = Some(PEAK_AT_MOST * steady_peak(&runs.ours));
    let unit = "renewals per second";
    over_time(&panels[0], ("Our policy", unit), &lines(&runs.ours), limit)?;
    over_time(
        &panels[1],
        ("No jitter", unit),
        &lines(&runs.no_jitter),
        limit,
    )?;
    let mut logged_out = lines(&runs.log_out);
    logged_out.truncate(1);
    logged_out.insert(
        0,
        Line {
            name: "sign-ins",
            colour: GREEN,
            counted: runs.log_out.sign_ins.clone(),
        },
    );
    let title = ("Log everyone out", "requests per second");
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
    let until = no_jitter.len() as f64 / 60.0;
    let mut chart = frame(area, title, (0.0, until), top)?;
    chart
        .configure_mesh()
        .x_desc("minutes since the sign-in")
        .y_desc("renewals per second")
        .x_labels(16)
        .x_label_formatter(&|minute| format!("{minute:.0}"))
        .y_label_formatter(&|count| format!("{count:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    let lines = [
        ("no jitter", ORANGE, no_jitter),
        ("our policy", BLUE, runs.together.renewals()),
    ];
    for (name, colour, counted) in lines {
        let points = (0..).zip(counted);
        let points = points.map(|(second, count)| (f64::from(second) / 60.0, f64::from(count)));
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    legend(&mut chart)
}

fn calls(path: &Path, runs: &Runs) -> Done {
    let root = SVGBackend::new(path, (WIDTH, PANEL_HEIGHT)).into_drawing_area();
    root.fill(&WHITE)?;
    let lines = [
        Line {
            name: "calls",
            colour: BLUE,
            counted: runs.ours.calls.clone(),
        },
        Line {
            name: "probes",
            colour: ORANGE,
            counted: runs.ours.probes.clone(),
        },
    ];
    let title = ("Calls and probes, our policy", "requests per second");
    over_time(&root, title, &lines, None)?;
    root.present()?;
    Ok(())
}

/// Counts against the minutes since the outage began.
fn over_time(area: &Area, (title, unit): (&str, &str), lines: &[Line], limit: Option<f64>) -> Done {
    let seconds = lines[0].counted.len() as u64;
    let top = lines.iter().map(|line| peak(&line.counted, (0, seconds)));
    // With room for the legend.
    let top = f64::from(top.max().unwrap_or(1)) * 1.4;
    let minute = |second: u64| (second as f64 - BEFORE as f64) / 60.0;
    let mut chart = frame(area, title, (minute(0), minute(seconds)), top)?;
    chart
        .configure_mesh()
        .x_desc("minutes since the outage began")
        .y_desc(unit)
        .x_labels(16)
        .x_label_formatter(&|minute| format!("{minute:.0}"))
        .y_label_formatter(&|count| format!("{count:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    let shaded = [(minute(AWAY.0), 0.0), (minute(AWAY.1), top)];
    chart
        .draw_series([Rectangle::new(shaded, SHADE.mix(0.6).filled())])?
        .label("the server is away")
        .legend(|(x, y)| Rectangle::new([(x, y - 5), (x + 20, y + 5)], SHADE.filled()));
    for line in lines {
        let points = line.counted.chunks(BIN).zip(0_u64..).map(|(bin, place)| {
            let busiest = bin.iter().copied().max().unwrap_or(0);
            (minute(place * BIN as u64), f64::from(busiest))
        });
        let colour = line.colour;
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    if let Some(limit) = limit {
        let ends = [(minute(0), limit), (minute(seconds), limit)];
        chart
            .draw_series([PathElement::new(ends, GREY.stroke_width(1))])?
            .label("twice the steady peak")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], GREY.stroke_width(1)));
    }
    legend(&mut chart)
}

fn curve(path: &Path, runs: &Runs) -> Done {
    let root = SVGBackend::new(path, (WIDTH, PANEL_HEIGHT + 60)).into_drawing_area();
    root.fill(&WHITE)?;
    let points: Vec<_> = runs
        .curve()
        .into_iter()
        .map(|(pause, counts)| {
            let all = f64::from(peak(&counts.renewals(), RECOVERED));
            let working = f64::from(peak(&counts.working, RECOVERED));
            (pause, quantile(&counts.waits, 0.99), all, working)
        })
        .collect();
    let right = points.iter().map(|point| point.1).fold(0.0, f64::max) * 1.1;
    let top = points.iter().map(|point| point.2).fold(0.0, f64::max) * 1.15;
    let title = "Busiest second of the recovery against the wait, by longest pause";
    let mut chart = frame(&root, title, (0.0, right), top)?;
    chart
        .configure_mesh()
        .x_desc(
            "wait of people whose token has expired, 99th percentile, in seconds from the recovery",
        )
        .y_desc("renewals per second")
        .x_label_formatter(&|wait| format!("{wait:.0}"))
        .y_label_formatter(&|count| format!("{count:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    type Height = fn(&(u64, f64, f64, f64)) -> f64;
    let series: [(&str, RGBColor, Height); 2] = [
        ("all renewals", ORANGE, |point| point.2),
        ("by clients whose token works", BLUE, |point| point.3),
    ];
    for (name, colour, height) in series {
        let line = points.iter().map(|point| (point.1, height(point)));
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
        let dots = points
            .iter()
            .map(|point| Circle::new((point.1, height(point)), 4, colour.filled()));
        chart.draw_series(dots)?;
    }
    let labels = points.iter().map(|(pause, wait, all, _)| {
        let style = ("sans-serif", 14).into_font().color(&BLACK);
        Text::new(
            format!("{pause} s"),
            (wait + right / 150.0, all + top / 15.0),
            style,
        )
    });
    chart.draw_series(labels)?;
    let ends = [(WAIT_AT_MOST, 0.0), (WAIT_AT_MOST, top)];
    chart
        .draw_series([PathElement::new(ends, GREY.stroke_width(1))])?
        .label("at most 30 s")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], GREY.stroke_width(1)));
    legend(&mut chart)?;
    root.present()?;
    Ok(())
}

fn frame<'a, 'b>(
    area: &'a Area<'b>,
    title: &str,
    (left, right): (f64, f64),
    top: f64,
) -> Result<Chart<'a, 'b>, Box<dyn Error>> {
    let chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(left..right, 0.0..top)?;
    Ok(chart)
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
