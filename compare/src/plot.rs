//! The plots, as SVG on a white panel, so that they can be read in light and dark mode.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::cases::CASES;
use crate::clients::{CLIENTS, Client};
use crate::report::thousands;
use crate::speed::{Middle, TURN_LIMIT, WAITERS};
use crate::{Speeds, Tallies};

type Done = Result<(), Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// From the palette of Okabe and Ito, lightened for cells; they differ in lightness, and every cell has its word.
const FINE: RGBColor = RGBColor(204, 235, 222);
const SLIGHT: RGBColor = RGBColor(253, 225, 178);
const GRAVE: RGBColor = RGBColor(213, 94, 0);
const OURS: RGBColor = RGBColor(0, 114, 178);
const OTHERS: RGBColor = RGBColor(150, 150, 150);
const INK: RGBColor = RGBColor(30, 30, 30);

const FONT: &str = "sans-serif";

/// Draws both plots into the folder.
pub(crate) fn draw(docs: &Path, tallies: &Tallies, speeds: &Speeds) -> Done {
    cases(&docs.join("comparison-cases.svg"), tallies)?;
    speed(&docs.join("comparison-speed.svg"), speeds)
}

/// A coloured table: a row per case, a column per client.
fn cases(path: &Path, tallies: &Tallies) -> Done {
    const LEFT: i32 = 170;
    const TOP: i32 = 70;
    const CELL: (i32, i32) = (128, 46);
    const LINES: usize = 3;
    let clients: Vec<_> = CLIENTS
        .iter()
        .filter(|client| tallies.contains_key(client.name))
        .collect();
    let width = LEFT + CELL.0 * i32::try_from(clients.len())? + 10;
    let height = TOP + CELL.1 * i32::try_from(CASES.len())? + 10;
    let root =
        SVGBackend::new(path, (width.unsigned_abs(), height.unsigned_abs())).into_drawing_area();
    root.fill(&WHITE)?;
    for (column, client) in (0..).zip(&clients) {
        let x = LEFT + CELL.0 * column;
        for (line, words) in (0..).zip(two_lines(client.title)) {
            write(
                &root,
                &words,
                (x + CELL.0 / 2, 22 + 17 * line),
                13,
                HPos::Center,
                &INK,
            )?;
        }
        for (row, case) in (0..).zip(&CASES) {
            let Some(tally) = tallies[client.name].get(case.title) else {
                continue;
            };
            let y = TOP + CELL.1 * row;
            let problems = tally.problems(case);
            let is_grave = problems.iter().any(|problem| problem.is_grave);
            let (colour, ink) = match (is_grave, problems.is_empty()) {
                (true, _) => (GRAVE, WHITE),
                (false, true) => (FINE, INK),
                (false, false) => (SLIGHT, INK),
            };
            let cell = [(x + 1, y + 1), (x + CELL.0 - 1, y + CELL.1 - 1)];
            root.draw(&Rectangle::new(cell, colour.filled()))?;
            let mut words: Vec<_> = problems
                .iter()
                .map(|problem| problem.text.clone())
                .collect();
            if words.is_empty() {
                words.push(tally.praise());
            }
            // Three lines, and more on the last of them.
            if words.len() > LINES {
                let rest = words.split_off(LINES - 1).join(", ");
                words.push(rest);
            }
            let height = if words.len() == LINES { 12 } else { 16 };
            let first = y + CELL.1 / 2 - height * (i32::try_from(words.len())? - 1) / 2;
            for (line, words) in (0..).zip(words) {
                write(
                    &root,
                    &words,
                    (x + CELL.0 / 2, first + height * line),
                    12,
                    HPos::Center,
                    &ink,
                )?;
            }
        }
    }
    for (row, case) in (0..).zip(&CASES) {
        let y = TOP + CELL.1 * row + CELL.1 / 2;
        write(&root, case.title, (LEFT - 10, y), 14, HPos::Right, &INK)?;
    }
    root.present()?;
    Ok(())
}

/// A client's name on two lines.
fn two_lines(title: &str) -> Vec<String> {
    let middle = title.len() / 2;
    let breaks = title
        .char_indices()
        .filter(|(_, letter)| matches!(letter, ' ' | '-'));
    let nearest = breaks.min_by_key(|(at, _)| at.abs_diff(middle));
    match nearest {
        Some((at, _)) if title.len() > 12 => {
            vec![title[..=at].trim().to_owned(), title[at + 1..].to_owned()]
        }
        _ => vec![title.to_owned()],
    }
}

/// Added CPU time, and many waiters.
fn speed(path: &Path, speeds: &Speeds) -> Done {
    const PANEL: (u32, u32) = (960, 330);
    let root = SVGBackend::new(path, (PANEL.0, 2 * PANEL.1)).into_drawing_area();
    root.fill(&WHITE)?;
    let (upper, lower) = root.split_vertically(PANEL.1);
    let measured: Vec<_> = CLIENTS
        .iter()
        .filter_map(|client| Some((client, speeds.get(client.name)?)))
        .collect();
    let cpu: Vec<_> = measured
        .iter()
        .filter_map(|(client, speed)| Some((*client, speed.cpu.first()?.added)))
        .collect();
    bars(
        &upper,
        "Added CPU time per call with a valid token, one caller, in µs",
        &cpu,
        0.0,
        1,
    )?;
    let waiters: Vec<_> = measured
        .iter()
        .filter_map(|(client, speed)| Some((*client, speed.waiters.last()?.through()?.ratio)))
        .collect();
    let title = format!(
        "{} calls through one renewal, times the bare requests (not shown: calls failed, or took over {} s)",
        thousands(WAITERS[1]),
        TURN_LIMIT.as_secs()
    );
    bars(&lower, &title, &waiters, 1.0, 2)?;
    root.present()?;
    Ok(())
}

/// A horizontal bar per client from `from`, with its interval and its number.
fn bars(
    area: &Area,
    title: &str,
    figures: &[(&Client, Middle)],
    from: f64,
    decimals: usize,
) -> Done {
    const LEFT: f64 = 230.0;
    const TOP: f64 = 50.0;
    const RIGHT: f64 = 90.0;
    let (width, height) = area.dim_in_pixel();
    write(area, title, (20, 24), 16, HPos::Left, &INK)?;
    let most = figures.iter().map(|(_, of)| of.high).fold(from, f64::max);
    let least = figures.iter().map(|(_, of)| of.low).fold(from, f64::min);
    let span = (most - least).max(f64::EPSILON);
    let scale = (f64::from(width) - LEFT - RIGHT) / span;
    let x_of = |value: f64| (LEFT + (value - least) * scale) as i32;
    let row_height = (f64::from(height) - TOP - 10.0) / figures.len().max(1) as f64;
    for (row, (client, of)) in figures.iter().enumerate() {
        let y = (TOP + row_height * (row as f64 + 0.5)) as i32;
        let thick = (row_height * 0.3) as i32;
        let colour = if client.is_ours() { OURS } else { OTHERS };
        let bar = [(x_of(from), y - thick), (x_of(of.median), y + thick)];
        area.draw(&Rectangle::new(bar, colour.filled()))?;
        area.draw(&PathElement::new(
            [(x_of(of.low), y), (x_of(of.high), y)],
            INK.stroke_width(2),
        ))?;
        write(
            area,
            client.title,
            (LEFT as i32 - 10, y),
            13,
            HPos::Right,
            &INK,
        )?;
        let number = format!("{:.decimals$}", of.median);
        write(
            area,
            &number,
            (x_of(of.high.max(of.median)) + 8, y),
            13,
            HPos::Left,
            &INK,
        )?;
    }
    area.draw(&PathElement::new(
        [(x_of(from), TOP as i32), (x_of(from), height as i32 - 10)],
        INK.stroke_width(1),
    ))?;
    Ok(())
}

fn write(area: &Area, words: &str, at: (i32, i32), size: i32, from: HPos, ink: &RGBColor) -> Done {
    let style = TextStyle::from((FONT, size).into_font())
        .color(ink)
        .pos(Pos::new(from, VPos::Center));
    area.draw(&Text::new(words.to_owned(), at, style))?;
    Ok(())
}
