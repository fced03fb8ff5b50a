//! What a job promises: the least of its parts, in sentences.

use headwater_core::Delivery;

use super::error::{JobError, JobErrorKind};

/// What a job promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarantee {
    /// The least of its parts.
    pub delivery: Delivery,
    /// One sentence per source and per sink.
    pub sentences: Vec<String>,
}

/// A source or a sink, as far as its promise goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The table's name.
    pub name: String,
    /// What it promises.
    pub delivery: Delivery,
    /// Its own words, with numbers.
    pub sentence: String,
}

impl Guarantee {
    /// The promise of a job made of these parts.
    #[must_use]
    pub fn of(sources: &[Part], sinks: &[Part]) -> Self {
        let least = |parts: &[Part]| parts.iter().map(|part| part.delivery).min().unwrap_or(Delivery::ExactlyOnce);
        let from = least(sources);
        let mut sentences: Vec<String> =
            sources.iter().map(|part| format!("source `{}`: {}", part.name, part.sentence)).collect();
        for sink in sinks {
            sentences.push(format!("sink `{}`: {}: {}", sink.name, sink.delivery.min(from), sink.sentence));
        }
        Self { delivery: from.min(least(sinks)), sentences }
    }

    /// Refuses a job that promises less than is demanded.
    ///
    /// # Errors
    /// Which parts promise less, and what to do.
    pub fn demand(&self, demanded: Delivery, sources: &[Part], sinks: &[Part]) -> Result<(), JobError> {
        if self.delivery >= demanded {
            return Ok(());
        }
        let less: Vec<String> = sources
            .iter()
            .chain(sinks)
            .filter(|part| part.delivery < demanded)
            .map(|part| format!("`{}` is {}", part.name, part.delivery))
            .collect();
        let text = format!(
            "SET 'delivery' demands {demanded}, but {}: use a sink that commits with checkpoints (`filesystem`), or demand less",
            less.join(" and ")
        );
        Err(JobError::new(JobErrorKind::Configuration, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, delivery: Delivery) -> Part {
        Part { name: name.into(), delivery, sentence: "as it says".into() }
    }

    #[test]
    fn a_job_promises_the_least_of_its_parts() {
        let sources = [part("q", Delivery::ExactlyOnce)];
        let sinks = [part("files", Delivery::ExactlyOnce), part("print", Delivery::AtLeastOnce)];
        let all = Guarantee::of(&sources, &sinks);
        assert_eq!(all.delivery, Delivery::AtLeastOnce);
        assert!(all.sentences[1].starts_with("sink `files`: exactly-once"), "{:?}", all.sentences);
        let error = all.demand(Delivery::ExactlyOnce, &sources, &sinks).unwrap_err().to_string();
        assert!(error.contains("`print` is at-least-once") && !error.contains("`files`"), "{error}");
        let fewer = Guarantee::of(&sources, &sinks[..1]);
        assert!(fewer.demand(Delivery::ExactlyOnce, &sources, &sinks[..1]).is_ok());
    }
}
