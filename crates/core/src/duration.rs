//! Durations as Flink writes them, for options and settings.

use std::time::Duration;

/// Reads a duration: a whole number and a unit (`10s`, `1 min`, `500 ms`); without a unit, milliseconds. The units are those
/// of Flink's `TimeUtils`.
///
/// # Errors
/// A sentence that says what a duration looks like.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let hint = "a duration is a whole number and a unit, as in `10s`, `1 min` or `500 ms`";
    let number: u64 = text[..digits].parse().map_err(|_| hint.to_owned())?;
    let nanos: u64 = match text[digits..].trim().to_lowercase().as_str() {
        "d" | "day" | "days" => 86_400_000_000_000,
        "h" | "hour" | "hours" => 3_600_000_000_000,
        "m" | "min" | "minute" | "minutes" => 60_000_000_000,
        "s" | "sec" | "second" | "seconds" => 1_000_000_000,
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1_000_000,
        "µs" | "micro" | "micros" | "microsecond" | "microseconds" => 1_000,
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => 1,
        unit => return Err(format!("`{unit}` is not a unit of time; {hint}")),
    };
    number.checked_mul(nanos).map(Duration::from_nanos).ok_or_else(|| "the duration is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_flink_reads_them() {
        for (text, ms) in [("10s", 10_000), ("1 min", 60_000), ("500 ms", 500), ("500", 500), (" 2 H", 7_200_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "-1s", "1.5s", "10 parsecs", "99999999999999999999 s", "999999999999 d", "١s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
