//! How often a fault happens: never, at a rate, or to the next so many.

use std::collections::BTreeMap;
use std::fmt;

use headwater_mns_proto::Operation;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::random::Random;

/// How often a fault happens. In JSON a number from 0 to 1 is a rate, `{"count": 3}` hits the next three.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Dose {
    /// Not at all.
    #[default]
    Never,
    /// Each time with this probability, 0 to 1.
    Rate(f64),
    /// The next so many times, then never again until the faults are set anew.
    Count(u64),
}

impl Dose {
    /// Every time.
    pub const ALWAYS: Self = Self::Rate(1.0);

    /// Draws once.
    pub(super) fn draw(&mut self, random: &mut Random) -> bool {
        match self {
            Self::Never | Self::Count(0) => false,
            Self::Rate(rate) => random.chance(*rate),
            Self::Count(left) => {
                *left -= 1;
                true
            }
        }
    }

    fn rate<E: serde::de::Error>(rate: f64) -> Result<Self, E> {
        if (0.0..=1.0).contains(&rate) {
            return Ok(if rate == 0.0 { Self::Never } else { Self::Rate(rate) });
        }
        Err(E::custom(format!("a rate is from 0 to 1, not {rate}; to hit the next so many write {{\"count\": N}}")))
    }
}

/// A dose for each operation. In JSON a dose holds for every operation; an object of doses by operation name holds for
/// those named.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PerOperation {
    /// For operations that are not named.
    pub others: Dose,
    /// For these.
    pub named: BTreeMap<Operation, Dose>,
}

impl PerOperation {
    /// One dose for every operation. A count is counted over all of them together.
    #[must_use]
    pub fn all(dose: Dose) -> Self {
        Self { others: dose, named: BTreeMap::new() }
    }

    /// A dose for one operation, on top of what is there.
    #[must_use]
    pub fn on(mut self, operation: Operation, dose: Dose) -> Self {
        self.named.insert(operation, dose);
        self
    }

    pub(super) fn draw(&mut self, operation: Operation, random: &mut Random) -> bool {
        self.named.get_mut(&operation).unwrap_or(&mut self.others).draw(random)
    }
}

impl From<Dose> for PerOperation {
    fn from(dose: Dose) -> Self {
        Self::all(dose)
    }
}

/// Reads an operation by its name in the documents.
pub(super) fn operation<E: serde::de::Error>(name: &str) -> Result<Operation, E> {
    Operation::ALL.iter().copied().find(|operation| operation.name() == name).ok_or_else(|| {
        let nearest = Operation::ALL
            .iter()
            .max_by(|a, b| strsim::jaro(a.name(), name).total_cmp(&strsim::jaro(b.name(), name)))
            .map_or("", |operation| operation.name());
        E::custom(format!("there is no operation {name:?}; did you mean {nearest:?}?"))
    })
}

impl<'de> Deserialize<'de> for Dose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read: PerOperation = deserializer.deserialize_any(DoseVisitor { by_operation: false })?;
        Ok(read.others)
    }
}

impl<'de> Deserialize<'de> for PerOperation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DoseVisitor { by_operation: true })
    }
}

struct DoseVisitor {
    by_operation: bool,
}

impl<'de> Visitor<'de> for DoseVisitor {
    type Value = PerOperation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rate from 0 to 1 or {\"count\": N}")?;
        if self.by_operation { f.write_str(", or an object of these by operation name") } else { Ok(()) }
    }

    fn visit_f64<E: serde::de::Error>(self, rate: f64) -> Result<PerOperation, E> {
        Dose::rate(rate).map(PerOperation::all)
    }

    fn visit_u64<E: serde::de::Error>(self, rate: u64) -> Result<PerOperation, E> {
        self.visit_f64(rate as f64)
    }

    fn visit_i64<E: serde::de::Error>(self, rate: i64) -> Result<PerOperation, E> {
        self.visit_f64(rate as f64)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PerOperation, A::Error> {
        let mut read = PerOperation::default();
        while let Some(key) = map.next_key::<String>()? {
            if key == "count" {
                read.others = Dose::Count(map.next_value()?);
            } else if self.by_operation {
                let operation = operation(&key)?;
                read.named.insert(operation, map.next_value()?);
            } else {
                return Err(A::Error::unknown_field(&key, &["count"]));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doses_read_as_documented() {
        let read = |json: &str| serde_json::from_str::<PerOperation>(json).map_err(|error| error.to_string());
        assert_eq!(read("0.25"), Ok(PerOperation::all(Dose::Rate(0.25))));
        assert_eq!(read("1"), Ok(PerOperation::all(Dose::ALWAYS)));
        assert_eq!(read("0"), Ok(PerOperation::default()));
        assert_eq!(read(r#"{"count": 3}"#), Ok(PerOperation::all(Dose::Count(3))));
        assert_eq!(
            read(r#"{"DeleteMessage": 0.5, "BatchReceiveMessage": {"count": 1}}"#),
            Ok(PerOperation::default()
                .on(Operation::DeleteMessage, Dose::Rate(0.5))
                .on(Operation::BatchReceiveMessage, Dose::Count(1)))
        );
        for (json, says) in [
            ("1.5", "a rate is from 0 to 1, not 1.5"),
            ("-1", "a rate is from 0 to 1"),
            (r#"{"DeleteMesage": 1}"#, r#"did you mean "DeleteMessage"?"#),
            (r#""often""#, r#"a rate from 0 to 1 or {"count": N}, or an object"#),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        assert!(serde_json::from_str::<Dose>(r#"{"DeleteMessage": 1}"#).is_err());
    }

    #[test]
    fn a_count_is_used_up() {
        let mut dose = Dose::Count(2);
        let mut random = Random::seeded(1);
        assert_eq!([(); 4].map(|()| dose.draw(&mut random)), [true, true, false, false]);
    }
}
