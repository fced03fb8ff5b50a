//! The table at the end.

use super::inputs::Input;

/// How many times Flink's speed is the goal.
const GOAL: f64 = 3.0;
/// What one bad row in a thousand must leave of the speed.
const CLEAN_GOAL: f64 = 0.9;
/// How many times as long as a library by itself we may take.
const BESIDE_GOAL: f64 = 1.5;

/// What was measured of one input: rows per CPU second, a figure for each sample.
pub(crate) struct Line {
    name: &'static str,
    flink: f64,
    body_bytes: usize,
    /// Our decoder.
    pub(crate) ours: Vec<f64>,
    /// The yardstick, just before.
    pub(crate) yardstick: Vec<f64>,
    /// Our decoder on the same messages without the bad rows, just after; empty where there are none.
    pub(crate) clean: Vec<f64>,
    /// A library by itself on the same messages, just after; empty where there is none.
    pub(crate) beside: Vec<f64>,
}

impl Line {
    /// A line without figures.
    pub(crate) fn new(input: &Input, body_bytes: usize) -> Self {
        let Input { name, flink, .. } = *input;
        Self { name, flink, body_bytes, ours: Vec::new(), yardstick: Vec::new(), clean: Vec::new(), beside: Vec::new() }
    }

    /// The median of the samples' ratios to what was measured beside them.
    fn ratio(&self, beside: &[f64]) -> f64 {
        median(self.ours.iter().zip(beside).map(|(ours, beside)| ours / beside))
    }
}

/// The lines so far.
#[derive(Default)]
pub(crate) struct Report {
    lines: Vec<Line>,
}

impl Report {
    /// Adds a line, unless the input was left out.
    pub(crate) fn push(&mut self, line: Line) {
        if !line.ours.is_empty() {
            self.lines.push(line);
        }
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        println!("{:16} {:>10} {:>8} {:>14} {:>8} {:>8}", "", "rows/s", "bytes", "x json.loads", "x Flink", "goal");
        for line in &self.lines {
            let (rows, ratio) = (median(line.ours.iter().copied()), line.ratio(&line.yardstick));
            print!("{:16} {rows:>10.0} {:>8} {ratio:>14.2}", line.name, line.body_bytes);
            let verdict = |reached: bool| if reached { "reached" } else { "missed" };
            if line.flink > 0.0 {
                let (flink, goal) = (ratio / line.flink, line.flink * GOAL);
                print!(" {flink:>8.2} {goal:>8.2} {}", verdict(ratio >= goal));
            }
            if !line.clean.is_empty() {
                let part = line.ratio(&line.clean);
                let verdict = verdict(part >= CLEAN_GOAL);
                print!(" {:.0} % of the speed without bad rows: {verdict}", part * 100.0);
            }
            if !line.beside.is_empty() {
                let times = 1.0 / line.ratio(&line.beside);
                print!(" {times:.2} times the time of bare arrow-avro: {}", verdict(times <= BESIDE_GOAL));
            }
            println!();
        }
        println!(
            "rows per second of CPU time on one core; x Flink = x json.loads / what Flink was measured at beside it"
        );
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
