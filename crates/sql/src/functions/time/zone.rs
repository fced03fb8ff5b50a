//! `table.local-time-zone`: in which zone instants are shown and read. Never the machine's.

use std::fmt::{self, Display, Formatter};

use chrono::{DateTime, FixedOffset, LocalResult, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;

/// A zone as Flink names it: a region (`Asia/Shanghai`) or an offset (`GMT+08:00`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    Region(Tz),
    Offset(FixedOffset),
}

impl Default for Zone {
    fn default() -> Self {
        Self::Region(Tz::UTC)
    }
}

impl Display for Zone {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(tz) => f.write_str(tz.name()),
            Self::Offset(offset) => write!(f, "GMT{offset}"),
        }
    }
}

impl Zone {
    /// Reads a region name or an offset: `UTC`, `Europe/Berlin`, `GMT+8`, `GMT-03:00`, `UTC+8`, `+08:00`, `Z`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "Z" {
            return Ok(Self::default());
        }
        if let Ok(region) = text.parse::<Tz>() {
            return Ok(Self::Region(region));
        }
        let offset = ["GMT", "UTC", "UT", ""].iter().find_map(|p| text.strip_prefix(p)).and_then(offset);
        offset.map(Self::Offset).ok_or_else(|| {
            "no such time zone: give a region (`Asia/Shanghai`) or an offset (`GMT+08:00`); \
             the machine's own zone is never used"
                .to_owned()
        })
    }

    /// The wall clock in this zone at an instant.
    pub(crate) fn local(self, instant: NaiveDateTime) -> NaiveDateTime {
        match self {
            Self::Region(tz) => tz.from_utc_datetime(&instant).naive_local(),
            Self::Offset(offset) => offset.from_utc_datetime(&instant).naive_local(),
        }
    }

    /// The instant at which the wall clock in this zone shows `local`, in UTC. As java.time resolves it: of two
    /// instants (clocks set back) the earlier; in a gap (clocks set forward) as far after the gap as `local` is into it.
    pub(crate) fn instant(self, local: NaiveDateTime) -> NaiveDateTime {
        match self {
            Self::Offset(offset) => resolve(&offset, local),
            Self::Region(tz) => resolve(&tz, local),
        }
    }
}

fn resolve<T: TimeZone>(zone: &T, local: NaiveDateTime) -> NaiveDateTime {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(t) | LocalResult::Ambiguous(t, _) => t.naive_utc(),
        // The offset that held a day earlier is the one before the gap: no zone changes twice in a day.
        LocalResult::None => {
            let before = local.checked_sub_signed(chrono::Duration::days(1)).unwrap_or(local);
            let offset = zone.offset_from_utc_datetime(&before).fix();
            local.checked_sub_offset(offset).unwrap_or(local)
        }
    }
}

/// An offset in the forms of java.time.ZoneId: `+8`, `+08`, `+8:30`, `+0830`, `+08:30`, `+08:30:15`.
fn offset(text: &str) -> Option<FixedOffset> {
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let digits = &text[1..];
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit() || b == b':') {
        return None;
    }
    let parts: Vec<&str> = match digits.split(':').collect::<Vec<_>>()[..] {
        [all] if all.len() == 4 => vec![&all[..2], &all[2..]],
        [all] if all.len() <= 2 => vec![all],
        [h, m] if h.len() <= 2 && m.len() == 2 => vec![h, m],
        [h, m, s] if h.len() <= 2 && m.len() == 2 && s.len() == 2 => vec![h, m, s],
        _ => return None,
    };
    let mut seconds = 0;
    for (i, part) in parts.iter().enumerate() {
        let value: i32 = part.parse().ok()?;
        if value > [18, 59, 59][i] {
            return None;
        }
        seconds += value * [3600, 60, 1][i];
    }
    FixedOffset::east_opt(sign * seconds)
}

/// The instant of a count of milliseconds since 1970, if chrono's calendar reaches it.
pub(crate) fn from_millis(millis: i64) -> Option<NaiveDateTime> {
    DateTime::<Utc>::from_timestamp_millis(millis).map(|t| t.naive_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        text.parse().expect(text)
    }

    #[test]
    fn zones_are_read_as_flink_names_them() {
        for (text, printed) in [
            ("UTC", "UTC"),
            ("Z", "UTC"),
            ("Asia/Shanghai", "Asia/Shanghai"),
            ("GMT+08:00", "GMT+08:00"),
            ("GMT-3", "GMT-03:00"),
            ("UTC+8", "GMT+08:00"),
            ("+0530", "GMT+05:30"),
        ] {
            assert_eq!(Zone::parse(text).expect(text).to_string(), printed);
        }
        for text in ["", "default", "Mars", "GMT+19", "GMT+08:60", "+", "8", "GMT+8:", "+1:2:3:4"] {
            assert!(Zone::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn gaps_and_overlaps_resolve_as_in_java() {
        let berlin = Zone::parse("Europe/Berlin").expect("region");
        for (local, utc) in [
            ("2024-07-01T12:00:00", "2024-07-01T10:00:00"),
            ("2024-03-31T02:30:00", "2024-03-31T01:30:00"),
            ("2024-10-27T02:30:00", "2024-10-27T00:30:00"),
        ] {
            assert_eq!(berlin.instant(at(local)), at(utc), "{local}");
        }
        assert_eq!(berlin.local(at("2024-03-31T01:30:00")), at("2024-03-31T03:30:00"));
    }
}
