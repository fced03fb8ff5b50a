//! Charsets of single bytes and pairs as Java decodes them. `encoding_rs` has the tables of the web, which took in later
//! and private extensions of the standards; here is what Java leaves out or has otherwise (JDK 17, every pair compared).

use encoding_rs::Encoding;

use super::charset::{push_all, with_table};

const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// Such a charset.
#[derive(Debug)]
pub(crate) struct DoubleByte {
    /// The table for all that Java has in common with the web.
    table: &'static Encoding,
    /// Whether this byte is a character by itself.
    single: fn(u8) -> bool,
    /// Whether Java has any pair that begins with this byte.
    lead: fn(u8) -> bool,
    /// Whether Java has a character for this pair, whose first byte is a lead.
    pair: fn(u8, u8) -> bool,
    /// Pairs that are other characters in Java, in order.
    other: &'static [(u16, char)],
}

impl DoubleByte {
    /// Appends the body as UTF-8; what is no character becomes U+FFFD.
    pub(crate) fn decode(&self, body: &[u8], out: &mut Vec<u8>) {
        // Everything from `plain` to `at` is for the table.
        let (mut plain, mut at) = (0, 0);
        while let Some(&first) = body.get(at) {
            if (self.single)(first) {
                at += 1;
                continue;
            }
            let second = body.get(at + 1).copied();
            let (c, length) = match second {
                Some(second) if (self.lead)(first) && (self.pair)(first, second) => {
                    let Some(c) = self.other(first, second) else {
                        at += 2;
                        continue;
                    };
                    (c, 2)
                }
                // Java takes the second byte along when nothing can begin with it.
                Some(second) if (self.lead)(first) && !(self.lead)(second) && !(self.single)(second) => {
                    (REPLACEMENT, 2)
                }
                _ => (REPLACEMENT, 1),
            };
            with_table(self.table, &body[plain..at], out);
            push_all([c].into_iter(), out);
            at += length;
            plain = at;
        }
        with_table(self.table, &body[plain..], out);
    }

    fn other(&self, first: u8, second: u8) -> Option<char> {
        let pair = u16::from_be_bytes([first, second]);
        // FE50 to FEA0 of GBK are U+E815 to U+E864, private-use characters from before Unicode had them.
        if std::ptr::eq(self, &GBK) && first == 0xFE && (0x50..=0xA0).contains(&second) {
            return char::from_u32(0xE815 + u32::from(second) - 0x50 - u32::from(second > 0x7F));
        }
        self.other.binary_search_by_key(&pair, |(pair, _)| *pair).ok().map(|i| self.other[i].1)
    }
}

pub(crate) static GBK: DoubleByte = DoubleByte {
    table: encoding_rs::GBK,
    single: |b| b < 0x80,
    lead: |b| matches!(b, 0x81..=0xFE),
    pair: |_, b| matches!(b, 0x40..=0x7E | 0x80..=0xFE),
    other: &[
        (0xA3A0, '\u{E5E5}'),
        (0xA6D9, '\u{E78D}'),
        (0xA6DA, '\u{E78E}'),
        (0xA6DB, '\u{E78F}'),
        (0xA6DC, '\u{E790}'),
        (0xA6DD, '\u{E791}'),
        (0xA6DE, '\u{E792}'),
        (0xA6DF, '\u{E793}'),
        (0xA6EC, '\u{E794}'),
        (0xA6ED, '\u{E795}'),
        (0xA6F3, '\u{E796}'),
        (0xA892, '\u{2641}'),
        (0xA8BC, '\u{E7C7}'),
        (0xA8BF, '\u{E7C8}'),
        (0xA989, '\u{E7E7}'),
        (0xA98A, '\u{E7E8}'),
        (0xA98B, '\u{E7E9}'),
        (0xA98C, '\u{E7EA}'),
        (0xA98D, '\u{E7EB}'),
        (0xA98E, '\u{E7EC}'),
        (0xA98F, '\u{E7ED}'),
        (0xA990, '\u{E7EE}'),
        (0xA991, '\u{E7EF}'),
        (0xA992, '\u{E7F0}'),
        (0xA993, '\u{E7F1}'),
        (0xA994, '\u{E7F2}'),
        (0xA995, '\u{E7F3}'),
    ],
};

pub(crate) static GB2312: DoubleByte = DoubleByte {
    table: encoding_rs::GBK,
    single: |b| b < 0x80,
    lead: |b| matches!(b, 0xA1..=0xA9 | 0xB0..=0xF7),
    pair: |a, b| match a {
        0xA2 => matches!(b, 0xB1..=0xE2 | 0xE5..=0xEE | 0xF1..=0xFC),
        0xA4 => matches!(b, 0xA1..=0xF3),
        0xA5 => matches!(b, 0xA1..=0xF6),
        0xA6 => matches!(b, 0xA1..=0xB8 | 0xC1..=0xD8),
        0xA7 => matches!(b, 0xA1..=0xC1 | 0xD1..=0xF1),
        0xA8 => matches!(b, 0xA1..=0xBA | 0xC5..=0xE9),
        0xA9 => matches!(b, 0xA4..=0xEF),
        0xD7 => matches!(b, 0xA1..=0xF9),
        _ => matches!(b, 0xA1..=0xFE),
    },
    other: &[(0xA1A4, '\u{30FB}'), (0xA1AA, '\u{2015}')],
};

pub(crate) static EUC_KR: DoubleByte = DoubleByte {
    table: encoding_rs::EUC_KR,
    single: |b| b < 0x80,
    lead: |b| matches!(b, 0xA1..=0xAC | 0xB0..=0xC8 | 0xCA..=0xFD),
    pair: |a, b| match a {
        0xA2 => matches!(b, 0xA1..=0xE8),
        0xA5 => matches!(b, 0xA1..=0xAA | 0xB0..=0xB9 | 0xC1..=0xD8 | 0xE1..=0xF8),
        0xA6 => matches!(b, 0xA1..=0xE4),
        0xA7 => matches!(b, 0xA1..=0xEF),
        0xA8 => matches!(b, 0xA1..=0xA4 | 0xA6 | 0xA8..=0xAF | 0xB1..=0xFE),
        0xAA => matches!(b, 0xA1..=0xF3),
        0xAB => matches!(b, 0xA1..=0xF6),
        0xAC => matches!(b, 0xA1..=0xC1 | 0xD1..=0xF1),
        _ => matches!(b, 0xA1..=0xFE),
    },
    other: &[(0xA2E8, '\u{327E}')],
};

/// The pairs of JIS X 0208 as Shift_JIS writes them, by row.
fn jis_pair(a: u8, b: u8) -> bool {
    match a {
        0x81 => {
            matches!(b, 0x40..=0x7E | 0x80..=0xAC | 0xB8..=0xBF | 0xC8..=0xCE | 0xDA..=0xE8 | 0xF0..=0xF7 | 0xFC)
        }
        0x82 => matches!(b, 0x4F..=0x58 | 0x60..=0x79 | 0x81..=0x9A | 0x9F..=0xF1),
        0x83 => matches!(b, 0x40..=0x7E | 0x80..=0x96 | 0x9F..=0xB6 | 0xBF..=0xD6),
        0x84 => matches!(b, 0x40..=0x60 | 0x70..=0x7E | 0x80..=0x91 | 0x9F..=0xBE),
        0x88 => matches!(b, 0x9F..=0xFC),
        0x98 => matches!(b, 0x40..=0x72 | 0x9F..=0xFC),
        0xEA => matches!(b, 0x40..=0x7E | 0x80..=0xA4),
        _ => matches!(b, 0x40..=0x7E | 0x80..=0xFC),
    }
}

pub(crate) static SHIFT_JIS: DoubleByte = DoubleByte {
    table: encoding_rs::SHIFT_JIS,
    single: |b| matches!(b, 0..0x80 | 0xA1..=0xDF),
    lead: |b| matches!(b, 0x81..=0x84 | 0x88..=0x9F | 0xE0..=0xEA),
    pair: jis_pair,
    other: &[
        (0x815C, '\u{2014}'),
        (0x8160, '\u{301C}'),
        (0x8161, '\u{2016}'),
        (0x817C, '\u{2212}'),
        (0x8191, '\u{A2}'),
        (0x8192, '\u{A3}'),
        (0x81CA, '\u{AC}'),
    ],
};

pub(crate) static WINDOWS_31J: DoubleByte = DoubleByte {
    table: encoding_rs::SHIFT_JIS,
    single: |b| matches!(b, 0..0x80 | 0xA1..=0xDF),
    lead: |b| matches!(b, 0x81..=0x84 | 0x87..=0x9F | 0xE0..=0xEA | 0xED | 0xEE | 0xF0..=0xFC),
    pair: |a, b| match a {
        0x87 => matches!(b, 0x40..=0x5D | 0x5F..=0x75 | 0x7E | 0x80..=0x9C),
        0xEE => matches!(b, 0x40..=0x7E | 0x80..=0xEC | 0xEF..=0xFC),
        0xFC => matches!(b, 0x40..=0x4B),
        _ => jis_pair(a, b),
    },
    other: &[],
};
