//! Dates of HTTP headers (RFC 1123, always GMT) from and to seconds since 1970.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 9999-12-31T23:59:59Z, the last moment a four-digit year can say.
const LAST_SECOND: u64 = 253_402_300_799;

/// Writes a date, for example `Fri, 20 Nov 2026 08:00:00 GMT`. Later than the year 9999 is written as its last second.
pub fn format_date(epoch_seconds: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(epoch_seconds.min(LAST_SECOND)))
}

/// Reads a date. `None` if it is none, or before 1970.
pub fn parse_date(text: &str) -> Option<u64> {
    let time: SystemTime = httpdate::parse_http_date(text).ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_both_ways() {
        assert_eq!(format_date(1_795_161_600), "Fri, 20 Nov 2026 08:00:00 GMT");
        assert_eq!(parse_date("Fri, 20 Nov 2026 08:00:00 GMT"), Some(1_795_161_600));
        assert_eq!(format_date(u64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
        for bad in ["", "yesterday", "Fri, 20 Nov 2026 08:00:00", "2026-11-20T08:00:00Z"] {
            assert_eq!(parse_date(bad), None, "{bad:?}");
        }
    }
}
