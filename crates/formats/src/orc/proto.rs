//! Protocol buffers, as much as ORC's metadata takes: fields by number, and writing them.

use crate::columnar::varint;

/// A field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    /// Text, bytes, a message, or numbers end to end.
    Bytes(&'a [u8]),
    /// Of a fixed width, which nothing we read has.
    Fixed,
}

impl<'a> Value<'a> {
    pub(super) fn number(self) -> Option<u64> {
        if let Self::Number(value) = self { Some(value) } else { None }
    }

    pub(super) fn bytes(self) -> Option<&'a [u8]> {
        if let Self::Bytes(value) = self { Some(value) } else { None }
    }
}

/// Calls `take` with each field of a message. `None` when the bytes are no message, or `take` says so.
pub(super) fn fields<'a>(message: &'a [u8], mut take: impl FnMut(u64, Value<'a>) -> Option<()>) -> Option<()> {
    let mut rest = message;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut rest)?),
            1 => {
                rest = rest.get(8..)?;
                Value::Fixed
            }
            2 => {
                let len = usize::try_from(varint(&mut rest)?).ok()?;
                let (bytes, after) = rest.split_at_checked(len)?;
                rest = after;
                Value::Bytes(bytes)
            }
            5 => {
                rest = rest.get(4..)?;
                Value::Fixed
            }
            _ => return None,
        };
        take(tag >> 3, value)?;
    }
    Some(())
}

/// Numbers of a repeated field, which come one by one or end to end.
pub(super) fn repeated(value: Value<'_>, into: &mut Vec<u64>) -> Option<()> {
    match value {
        Value::Number(value) => into.push(value),
        Value::Bytes(mut bytes) => {
            while !bytes.is_empty() {
                into.push(varint(&mut bytes)?);
            }
        }
        Value::Fixed => return None,
    }
    Some(())
}

/// A message being written.
#[derive(Debug, Default)]
pub(super) struct Message(pub(super) Vec<u8>);

impl Message {
    pub(super) fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    pub(super) fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            // The lowest seven bits, and the mark that more follow.
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back() {
        let message = Message::default().number(1, 300).bytes(8000, b"ORC").bytes(2, &[1, 0x80, 2]).number(2, 7);
        let mut got = Vec::new();
        fields(&message.0, |id, value| {
            got.push((id, value));
            Some(())
        })
        .expect("a message");
        assert_eq!(got[..2], [(1, Value::Number(300)), (8000, Value::Bytes(b"ORC"))]);
        let mut numbers = Vec::new();
        got[2..].iter().try_for_each(|(_, value)| repeated(*value, &mut numbers)).expect("numbers");
        assert_eq!(numbers, [1, 256, 7]);
        for cut in 1..message.0.len() {
            // Whatever it is, it ends.
            let _ = fields(&message.0[..cut], |_, _| Some(()));
        }
        assert_eq!(fields(&[0x0a, 5, 1], |_, _| Some(())), None);
        assert_eq!(fields(&[0xff; 12], |_, _| Some(())), None);
    }
}
