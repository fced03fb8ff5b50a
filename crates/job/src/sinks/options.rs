//! Options of sinks: what there is, and reading what was given so that every mistake is reported at once.

use headwater_core::{OptionError, OptionErrors, Options};

/// One option, as the reference and the errors print it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkOption {
    /// Its name, as given in `WITH`.
    pub name: &'static str,
    /// What it takes.
    pub kind: &'static str,
    /// Its value when it is not given; `None` where that has a meaning of its own.
    pub default: Option<&'static str>,
    /// What it does.
    pub doc: &'static str,
}

impl SinkOption {
    pub(crate) const fn new(
        name: &'static str,
        kind: &'static str,
        default: Option<&'static str>,
        doc: &'static str,
    ) -> Self {
        Self { name, kind, default, doc }
    }
}

/// Reads options and gathers what is wrong with them.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    options: &'a Options,
    errors: Vec<OptionError>,
    notices: Vec<String>,
    // Already answered; not to be called unknown as well.
    explained: Vec<&'static str>,
}

impl<'a> Reading<'a> {
    pub(crate) const fn new(options: &'a Options) -> Self {
        Self { options, errors: Vec::new(), notices: Vec::new(), explained: Vec::new() }
    }

    /// Every option that is in none of the tables is an error.
    pub(crate) fn known(&mut self, tables: &[&[SinkOption]]) {
        self.known_but(tables, None);
    }

    /// As [`known`](Self::known), but leaves options that begin with `prefix` to whoever reads those.
    pub(crate) fn known_but(&mut self, tables: &[&[SinkOption]], prefix: Option<&str>) {
        for (name, _) in self.options.iter().filter(|(name, _)| !prefix.is_some_and(|p| name.starts_with(p))) {
            let mut known = tables.iter().flat_map(|table| table.iter()).map(|option| option.name);
            if !known.clone().any(|option| option == name) && !self.explained.contains(&name) {
                self.errors.push(OptionError::unknown(name, &mut known));
            }
        }
    }

    /// Options that Flink has here and we do not: an error that says why, in place of "no option".
    pub(crate) fn explain(&mut self, refused: &[(&'static str, &str)]) {
        for (name, why) in refused {
            if self.get(name).is_some() {
                self.wrong(name, *why);
                self.explained.push(name);
            }
        }
    }

    /// Options that are valid and mean nothing when writing.
    pub(crate) fn without_effect(&mut self, names: &[&str]) {
        let given = names.iter().filter(|name| self.options.get(name).is_some());
        for name in given {
            self.notices.push(format!("`{name}` has no effect on a table that is written"));
        }
    }

    pub(crate) fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    pub(crate) fn get(&self, option: &str) -> Option<&'a str> {
        self.options.get(option)
    }

    pub(crate) fn wrong(&mut self, option: &str, problem: impl Into<String>) {
        self.errors.push(OptionError::new(option, problem));
    }

    pub(crate) fn required(&mut self, option: &str, example: &str) -> Option<&'a str> {
        let found = self.get(option).filter(|value| !value.is_empty());
        if found.is_none() {
            self.wrong(option, format!("is needed, for example '{option}' = '{example}'"));
        }
        found
    }

    /// `true` or `false` in any letter case, as everywhere in Flink.
    pub(crate) fn boolean(&mut self, option: &str, default: bool) -> bool {
        match self.get(option).map(str::to_ascii_lowercase).as_deref() {
            None => default,
            Some("true") => true,
            Some("false") => false,
            Some(_) => {
                self.wrong(option, "is true or false");
                default
            }
        }
    }

    /// Everything given.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.options.iter()
    }

    pub(crate) fn into_errors(self) -> OptionErrors {
        OptionErrors(self.errors)
    }

    pub(crate) fn finish(self) -> Result<(), OptionErrors> {
        if self.errors.is_empty() { Ok(()) } else { Err(OptionErrors(self.errors)) }
    }
}

/// A size as Flink's `MemorySize` writes it: `128MB`, `1 g`, `4096` (bytes). Units are powers of 1024.
pub(crate) fn memory_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        "k" | "kb" | "kibibytes" => 10,
        "m" | "mb" | "mebibytes" => 20,
        "g" | "gb" | "gibibytes" => 30,
        "t" | "tb" | "tebibytes" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_flink_reads_them() {
        for (text, bytes) in [
            ("128MB", Some(128 << 20)),
            ("1 g", Some(1 << 30)),
            (" 4096 ", Some(4096)),
            ("10 KiBiBytes", Some(10 << 10)),
            ("3b", Some(3)),
            ("128 MiB", None),
            ("MB", None),
            ("-1", None),
            ("1.5g", None),
            ("99999999999t", None),
        ] {
            assert_eq!(memory_size(text), bytes, "{text}");
        }
    }

    #[test]
    fn all_mistakes_come_at_once_with_the_nearest_name() {
        const TABLE: &[SinkOption] =
            &[SinkOption::new("path", "text", None, ""), SinkOption::new("b", "text", None, "")];
        let options = [("pth", "x"), ("b", "maybe")].into_iter().collect();
        let mut reading = Reading::new(&options);
        reading.known(&[TABLE]);
        reading.required("path", "/tmp/out");
        reading.boolean("b", true);
        assert_eq!(
            reading.finish().unwrap_err().to_string(),
            "`pth` is no option here; did you mean `path`?\n`path` is needed, for example 'path' = '/tmp/out'\n`b` is true or false"
        );
    }
}
