//! The frame of our durable forms, and the few types in it.
//!
//! Little-endian: magic, version u16, reserved u16, then the fields. Texts and bytes are a length u32 and the bytes.
//! Checksums are the caller's: each form is named by something that holds one.

/// Why bytes are not what they should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Unusable {
    /// Written in this version by a later release.
    Newer(u16),
    /// Cut off or changed.
    Damaged(&'static str),
}

/// Puts fields one after the other.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new(magic: [u8; 4], version: u16) -> Self {
        let mut bytes = magic.to_vec();
        bytes.extend(version.to_le_bytes());
        bytes.extend([0, 0]);
        Self(bytes)
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    pub(crate) fn u128(&mut self, value: u128) {
        self.0.extend(value.to_le_bytes());
    }

    /// A number of things that follow.
    pub(crate) fn count(&mut self, value: usize) -> Result<(), String> {
        let value = u32::try_from(value).map_err(|_| format!("{value} is more than a checkpoint can hold"))?;
        self.0.extend(value.to_le_bytes());
        Ok(())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.count(bytes.len())?;
        self.0.extend(bytes);
        Ok(())
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Takes fields off the front; never reads past the end, whatever the bytes say.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], magic: [u8; 4], version: u16) -> Result<Self, Unusable> {
        let mut reader = Self(bytes);
        if reader.take(4)? != magic {
            return Err(Unusable::Damaged("it does not begin as it should"));
        }
        match u16::from_le_bytes(reader.array()?) {
            0 => return Err(Unusable::Damaged("its version is 0")),
            found if found > version => return Err(Unusable::Newer(found)),
            _ => {}
        }
        reader.take(2)?;
        Ok(reader)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Unusable> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(Unusable::Damaged("it is cut off"))?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unusable> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Unusable> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Unusable> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn u128(&mut self) -> Result<u128, Unusable> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Unusable> {
        let len = self.u32()? as usize;
        self.take(len)
    }

    pub(crate) fn text(&mut self) -> Result<String, Unusable> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| Unusable::Damaged("a text in it is not UTF-8"))
    }

    /// Nothing may follow.
    pub(crate) fn end(self) -> Result<(), Unusable> {
        if self.0.is_empty() { Ok(()) } else { Err(Unusable::Damaged("it goes on after its end")) }
    }
}
