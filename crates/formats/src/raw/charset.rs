//! Java charsets by name. The tables are `encoding_rs`'s, whose meaning of some names is the web's and not Java's;
//! those are set right here.

use encoding_rs::{DecoderResult, Encoding};

use super::double_byte::{self, DoubleByte};
use crate::utf16;

/// A charset that text can be decoded from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Charset {
    Utf8,
    Ascii,
    Latin1,
    /// Big-endian unless a byte order mark says otherwise.
    Utf16,
    Utf16Fixed {
        little: bool,
    },
    Utf32,
    Utf32Fixed {
        little: bool,
    },
    /// Single bytes and pairs, where Java's tables are not the web's.
    Pairs(&'static DoubleByte),
    /// A table of single bytes, of which Java has some otherwise.
    Bytes(&'static Encoding, fn(u8) -> Option<char>),
    /// A table of encoding_rs, whose control characters 80 to 9F are kept, or mean an undefined byte.
    Table(&'static Encoding, Controls),
}

/// What the bytes 80 to 9F are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Controls {
    /// As the table says.
    Table,
    /// The web makes a control character of a byte that a Windows code page does not define; Java replaces it.
    Undefined,
    /// Control characters, where the web takes the Windows code page for the ISO one that it extends.
    Latin,
}

impl Charset {
    /// The charset with this Java name or alias, in any letter case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        if name.contains(|c: char| c.is_whitespace()) {
            return None;
        }
        Some(match name.as_str() {
            "utf-8" | "utf8" | "unicode-1-1-utf-8" => Self::Utf8,
            "us-ascii" | "ascii" | "ascii7" | "iso646-us" | "646" | "ansi_x3.4-1968" | "ansi_x3.4-1986" | "cp367"
            | "ibm367" | "iso_646.irv:1991" | "iso-ir-6" | "us" | "csascii" | "default" => Self::Ascii,
            "iso-8859-1" | "iso8859_1" | "iso8859-1" | "iso_8859-1" | "iso_8859_1" | "iso_8859-1:1987" | "8859_1"
            | "latin1" | "l1" | "ibm819" | "ibm-819" | "cp819" | "819" | "iso-ir-100" | "csisolatin1" => Self::Latin1,
            "utf-16" | "utf_16" | "utf16" | "unicode" | "unicodebig" => Self::Utf16,
            "utf-16be" | "utf_16be" | "x-utf-16be" | "unicodebigunmarked" | "iso-10646-ucs-2" => {
                Self::Utf16Fixed { little: false }
            }
            "utf-16le" | "utf_16le" | "x-utf-16le" | "unicodelittleunmarked" => Self::Utf16Fixed { little: true },
            "utf-32" | "utf_32" | "utf32" | "iso-10646-ucs-4" => Self::Utf32,
            "utf-32be" | "utf_32be" | "x-utf-32be" => Self::Utf32Fixed { little: false },
            "utf-32le" | "utf_32le" | "x-utf-32le" => Self::Utf32Fixed { little: true },
            "iso-8859-9" | "iso8859_9" | "iso8859-9" | "latin5" | "l5" | "8859_9" => {
                Self::Table(encoding_rs::WINDOWS_1254, Controls::Latin)
            }
            "euc_jp" | "eucjp" => Self::Table(encoding_rs::EUC_JP, Controls::Table),
            "x-windows-949" | "ms949" => Self::Table(encoding_rs::EUC_KR, Controls::Table),
            "euc-kr" | "euc_kr" | "euckr" | "ksc5601" | "ks_c_5601-1987" | "ksc_5601" | "5601" => {
                Self::Pairs(&double_byte::EUC_KR)
            }
            "gbk" | "cp936" | "windows-936" => Self::Pairs(&double_byte::GBK),
            "gb2312" | "gb2312-80" | "euc_cn" | "euc-cn" | "x-euc-cn" | "euccn" => Self::Pairs(&double_byte::GB2312),
            "ms936" => Self::Table(encoding_rs::GBK, Controls::Table),
            "shift_jis" | "shift-jis" | "sjis" | "x-sjis" | "ms_kanji" | "csshiftjis" => {
                Self::Pairs(&double_byte::SHIFT_JIS)
            }
            "koi8-u" | "koi8_u" => Self::Bytes(encoding_rs::KOI8_U, |b| match b {
                0xAE => Some('\u{255D}'),
                0xBE => Some('\u{256C}'),
                _ => None,
            }),
            "windows-1255" | "cp1255" => Self::Bytes(encoding_rs::WINDOWS_1255, |b| {
                matches!(b, 0x81 | 0x8A | 0x8C..=0x90 | 0x9A | 0x9C..=0x9F | 0xCA).then_some(REPLACEMENT)
            }),
            "tis-620" | "tis620" | "tis620.2533" => {
                Self::Bytes(encoding_rs::WINDOWS_874, |b| matches!(b, 0x80..=0x9F).then_some(REPLACEMENT))
            }
            "windows-31j" | "ms932" | "windows-932" | "cswindows31j" => Self::Pairs(&double_byte::WINDOWS_31J),
            _ => return Self::table(&name),
        })
    }

    fn table(name: &str) -> Option<Self> {
        // Java writes some of these names with cp in front: Cp1252.
        let label = name.strip_prefix("cp125").map(|digit| format!("windows-125{digit}"));
        let encoding = Encoding::for_label_no_replacement(label.as_deref().unwrap_or(name).as_bytes())?;
        let web_only = encoding == encoding_rs::X_USER_DEFINED || encoding == encoding_rs::UTF_8;
        let controls = if encoding.name().starts_with("windows-") { Controls::Undefined } else { Controls::Table };
        (!web_only).then_some(Self::Table(encoding, controls))
    }

    /// Appends the body as UTF-8. Only with UTF-8 itself can it fail, at the offset of the first bad byte; otherwise
    /// bad bytes become U+FFFD.
    pub(crate) fn decode(self, body: &[u8], out: &mut Vec<u8>) -> Result<(), usize> {
        match self {
            Self::Utf8 => {
                std::str::from_utf8(body).map_err(|e| e.valid_up_to())?;
                out.extend_from_slice(body);
            }
            Self::Ascii => {
                let chars = body.iter().map(|b| if b.is_ascii() { char::from(*b) } else { REPLACEMENT });
                push_all(chars, out);
            }
            Self::Latin1 => push_all(body.iter().map(|b| char::from(*b)), out),
            Self::Utf16 => match body {
                [0xFF, 0xFE, rest @ ..] => utf16::decode(rest, true, out),
                [0xFE, 0xFF, rest @ ..] => utf16::decode(rest, false, out),
                rest => utf16::decode(rest, false, out),
            },
            Self::Utf16Fixed { little } => utf16::decode(body, little, out),
            Self::Utf32 => match body {
                [0xFF, 0xFE, 0, 0, rest @ ..] => utf32(rest, true, out),
                [0, 0, 0xFE, 0xFF, rest @ ..] => utf32(rest, false, out),
                rest => utf32(rest, false, out),
            },
            // Unlike UTF-16, Java passes over the mark of the order that the name says.
            Self::Utf32Fixed { little } => {
                let mark = if little { [0xFF, 0xFE, 0, 0] } else { [0, 0, 0xFE, 0xFF] };
                utf32(body.strip_prefix(&mark).unwrap_or(body), little, out);
            }
            Self::Bytes(encoding, other) => {
                for piece in body.chunk_by(|a, b| other(*a).is_some() == other(*b).is_some()) {
                    if piece.first().is_some_and(|b| other(*b).is_some()) {
                        push_all(piece.iter().filter_map(|b| other(*b)), out);
                    } else {
                        with_table(encoding, piece, out);
                    }
                }
            }
            Self::Pairs(charset) => charset.decode(body, out),
            Self::Table(encoding, controls) => table(encoding, controls, body, out),
        }
        Ok(())
    }
}

const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

pub(super) fn push_all(chars: impl Iterator<Item = char>, out: &mut Vec<u8>) {
    for c in chars {
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

fn utf32(body: &[u8], little: bool, out: &mut Vec<u8>) {
    let (words, rest) = body.as_chunks::<4>();
    let codes = words.iter().map(|word| if little { u32::from_le_bytes(*word) } else { u32::from_be_bytes(*word) });
    let chars = codes.map(|code| char::from_u32(code).unwrap_or(REPLACEMENT));
    push_all(chars.chain((!rest.is_empty()).then_some(REPLACEMENT)), out);
}

fn table(encoding: &'static Encoding, controls: Controls, body: &[u8], out: &mut Vec<u8>) {
    let is_control = |b: &u8| (0x80..0xA0).contains(b);
    match controls {
        Controls::Latin if body.iter().any(is_control) => {
            for piece in body.chunk_by(|a, b| is_control(a) == is_control(b)) {
                if piece.first().is_some_and(is_control) {
                    push_all(piece.iter().map(|b| char::from(*b)), out);
                } else {
                    with_table(encoding, piece, out);
                }
            }
        }
        Controls::Undefined => {
            let start = out.len();
            with_table(encoding, body, out);
            // U+0080 to U+009F are C2 80 to C2 9F in UTF-8.
            let undefined = |pair: &[u8]| pair[0] == 0xC2 && is_control(&pair[1]);
            if out[start..].windows(2).any(undefined) {
                let text = String::from_utf8_lossy(&out[start..]).into_owned();
                out.truncate(start);
                push_all(text.chars().map(|c| if ('\u{80}'..'\u{A0}').contains(&c) { REPLACEMENT } else { c }), out);
            }
        }
        Controls::Table | Controls::Latin => with_table(encoding, body, out),
    }
}

pub(super) fn with_table(encoding: &'static Encoding, body: &[u8], out: &mut Vec<u8>) {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut rest = body;
    loop {
        let start = out.len();
        let room = decoder.max_utf8_buffer_length_without_replacement(rest.len()).unwrap_or(rest.len() * 3 + 16);
        out.resize(start + room, 0);
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(rest, &mut out[start..], true);
        out.truncate(start + written);
        rest = &rest[read..];
        match result {
            DecoderResult::InputEmpty => return,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => push_all([REPLACEMENT].into_iter(), out),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(charset: &str, body: &[u8]) -> String {
        let charset = Charset::named(charset).unwrap_or_else(|| panic!("no charset {charset}"));
        let mut out = b"before".to_vec();
        charset.decode(body, &mut out).expect("only UTF-8 fails");
        String::from_utf8(out).expect("UTF-8").strip_prefix("before").expect("what was there stays").to_owned()
    }

    #[test]
    fn what_java_decodes() {
        for (charset, body, text) in [
            ("UTF-8", "é".as_bytes(), "é"),
            ("US-ASCII", b"h\xe9", "h\u{fffd}"),
            ("latin1", b"h\xe9\x80", "hé\u{80}"),
            ("ISO-8859-9", b"\xfd\x80\xfd", "ı\u{80}ı"),
            ("ISO-8859-15", b"\xa4", "€"),
            ("windows-1252", b"\x80\x93x\x94\x81", "€“x”\u{fffd}"),
            ("Cp1251", b"\xcf\xf0", "Пр"),
            ("GBK", b"\xd6\xd0\xce\xc4", "中文"),
            ("gb2312", b"\xd6\xd0", "中"),
            ("GBK", b"\xd6\xd0\xce", "中\u{fffd}"),
            ("GBK", b"\xa6\xd9\xa0\xffa", "\u{e78d}\u{fffd}a"),
            ("gb2312", b"h\xe9llo\xa1\xa4\xd7\xfa", "h\u{fffd}llo\u{30fb}\u{fffd}"),
            ("EUC-KR", b"\xc7\xd1\x81\x41\xa2\xe8", "한\u{fffd}A\u{327e}"),
            ("Shift_JIS", b"\x81\x60\x87\x40\xb1", "\u{301c}\u{fffd}@\u{ff71}"),
            ("windows-31j", b"\x81\x60\x87\x40\xb1", "\u{ff5e}\u{2460}\u{ff71}"),
            ("KOI8-U", b"\xae\xc1", "\u{255d}а"),
            ("windows-1255", b"\xe0\xca", "א\u{fffd}"),
            ("TIS-620", b"\x80\xa1", "\u{fffd}ก"),
            ("GBK", b"\xff\xfe\x81a\xfe\x50\xfe\xa0", "\u{fffd}\u{e845}a\u{e815}\u{e864}"),
            ("GBK", b"\xd6\xd0\x81\x30\x81\x30\x80", "中\u{fffd}0\u{fffd}0\u{fffd}"),
            ("GB18030", b"\xd6\xd0\x95\x32\x82\x36", "中𠀀"),
            ("Big5", b"\xa4\xa4", "中"),
            ("Shift_JIS", b"\x93\xfa\x96{", "日本"),
            ("EUC-JP", b"\xc6\xfc\xcb\xdc", "日本"),
            ("EUC-KR", b"\xc7\xd1", "한"),
            ("UTF-16", b"\xff\xfeh\0", "h"),
            ("UTF-16", b"\xfe\xff\0h", "h"),
            ("UTF-16", b"\0h", "h"),
            ("UTF-16LE", b"\xff\xfeh\0", "\u{feff}h"),
            ("UTF-16LE", b"<\xd8A\0", "\u{fffd}"),
            ("UTF-16BE", b"\0h\0", "h\u{fffd}"),
            ("UTF-32", b"\0\0\0h\0\0\0\xe9", "hé"),
            ("UTF-32LE", b"h\0\0\0x", "h\u{fffd}"),
            ("UTF-32LE", b"\xff\xfe\0\0h\0\0\0", "h"),
            ("UTF-32BE", b"\0\0\xfe\xff\0\0\0h", "h"),
        ] {
            assert_eq!(decoded(charset, body), text, "{charset} {}", body.escape_ascii());
        }
        assert_eq!(Charset::Utf8.decode(b"ab\xffc", &mut Vec::new()), Err(2));
        for name in ["no-such", "", " UTF-8", "x-user-defined", "replacement"] {
            assert!(Charset::named(name).is_none(), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_become_utf8(body in prop::collection::vec(any::<u8>(), 0..64)) {
            for charset in ["US-ASCII", "latin1", "latin5", "windows-1252", "GBK", "GB18030", "Big5", "Shift_JIS", "EUC-JP",
                            "EUC-KR", "UTF-16", "UTF-16LE", "UTF-32", "ISO-2022-JP", "KOI8-R"] {
                decoded(charset, &body);
            }
        }
    }
}
