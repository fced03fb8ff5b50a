//! Texts of an answer that are shown where it tells of a failure.

use std::fmt;

use headwater_mns_proto::numbers::MAX_SHOWN;

/// How much is kept in place: the service's request ids have 24 characters, others' 36.
const IN_PLACE: usize = 38;

/// A header's text, cut to what is shown. Every answer has one, and nearly none is looked at: a short one takes no allocation.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Shown(Text);

#[derive(Clone, PartialEq, Eq)]
enum Text {
    Short([u8; IN_PLACE], u8),
    Long(Box<[u8]>),
}

impl Shown {
    /// `None` where it is not ASCII of the printable kind, so that any byte is a character.
    pub(super) fn new(value: &[u8]) -> Option<Self> {
        if !value.iter().fold(true, |printable, byte| printable & is_printable(*byte)) {
            return None;
        }
        let value = &value[..value.len().min(MAX_SHOWN)];
        let mut bytes = [0; IN_PLACE];
        Some(Self(match bytes.get_mut(..value.len()) {
            Some(place) => {
                place.copy_from_slice(value);
                Text::Short(bytes, value.len() as u8)
            }
            None => Text::Long(value.into()),
        }))
    }
}

/// Whether it is a character that a header's text may be shown with.
pub(super) fn is_printable(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) | (byte == b'\t')
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = match &self.0 {
            Text::Short(bytes, length) => &bytes[..usize::from(*length)],
            Text::Long(bytes) => bytes,
        };
        f.write_str(std::str::from_utf8(bytes).expect("it is ASCII"))
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_to_what_is_shown_and_none_of_other_characters_is() {
        for length in [0, 1, IN_PLACE - 1, IN_PLACE, IN_PLACE + 1, MAX_SHOWN, MAX_SHOWN + 1, 3 * MAX_SHOWN] {
            let text = "a b\t~".chars().cycle().take(length).collect::<String>();
            let shown = Shown::new(text.as_bytes()).unwrap().to_string();
            assert_eq!(shown, text[..length.min(MAX_SHOWN)]);
            for other in ['\0', '\r', '\n', '\u{7f}', '\u{e9}'] {
                assert_eq!(Shown::new(format!("{text}{other}").as_bytes()), None);
            }
        }
    }
}
