//! Where the values of `${name}` and `${secret_values.name}` come from, and who may read a secrets file.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::exit::{Exit, Failure};
use crate::logs::Logs;

/// How the names of secrets begin in a script.
const PREFIX: &str = "secret_values.";
/// A secrets file holds a few keys; more than this is some other file.
const FILE_MAX: u64 = 1 << 20;

/// The variables of a script: `-D name=value`, then the environment; secrets: the secrets file, then the environment.
#[derive(Default)]
pub(crate) struct ScriptVariables {
    defined: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    logs: Option<Logs>,
}

impl ScriptVariables {
    /// Reads what the command line gave. Secrets that a script asks for are shown in no log from then on.
    pub(crate) fn read(defined: &[Definition], secrets: Option<&Path>, logs: &Logs) -> Result<Self, Failure> {
        let usage = |problem| Failure::new(Exit::Usage, format!("-D: {problem}"));
        let defined = defined.iter().map(definition).collect::<Result<_, _>>().map_err(usage)?;
        let secrets = secrets.map(read_secrets).transpose()?.unwrap_or_default();
        Ok(Self { defined, secrets, logs: Some(logs.clone()) })
    }

    /// Variables that are known beforehand.
    pub(crate) fn of<'a>(
        defined: impl IntoIterator<Item = (&'a str, &'a str)>,
        secrets: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let (defined, secrets) = (defined.into_iter().map(own).collect(), secrets.into_iter().map(own).collect());
        Self { defined, secrets, logs: None }
    }

    /// The value of a variable; `environment` is asked last.
    pub(crate) fn lookup(&self, name: &str, environment: impl Fn(&str) -> Option<String>) -> Option<String> {
        match name.strip_prefix(PREFIX) {
            Some(secret) => {
                let value = self.secrets.get(secret).cloned().or_else(|| environment(secret));
                if let (Some(logs), Some(value)) = (&self.logs, &value) {
                    logs.hide(value);
                }
                value
            }
            None => self.defined.get(name).cloned().or_else(|| environment(name)),
        }
    }
}

impl fmt::Debug for ScriptVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.defined.keys()).entries(self.secrets.keys()).finish()
    }
}

/// What `-D` was given, unread. `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct Definition(String);

impl From<&str> for Definition {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Reads `name=value` of `-D`. What is wrong is said without the text.
fn definition(Definition(text): &Definition) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a variable is given as name=value")?;
    if name.is_empty() {
        return Err("the name before `=` is empty".into());
    }
    if name.starts_with(PREFIX) {
        let hint =
            "every user of this machine can read a command line: put secrets in a file and give it with --secrets";
        return Err(hint.into());
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn read_secrets(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let shown = path.display();
    let failed =
        |error: std::io::Error| Failure::because(Exit::Usage, format!("cannot read the secrets file {shown}"), &error);
    let file = File::open(path).map_err(failed)?;
    // Of the open file, not of the path: the two could differ a moment later.
    refuse_if_readable_by_others(&file, path)?;
    let mut text = String::new();
    file.take(FILE_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_MAX {
        return Err(Failure::new(
            Exit::Usage,
            format!("the secrets file {shown} is over 1 MiB: is it the right file?"),
        ));
    }
    parse_secrets(&text).map_err(|problem| Failure::new(Exit::Usage, format!("the secrets file {shown}, {problem}")))
}

fn refuse_if_readable_by_others(file: &File, path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    let metadata = file
        .metadata()
        .map_err(|error| Failure::because(Exit::Usage, format!("cannot look at the secrets file {shown}"), &error))?;
    let mode = metadata.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Usage,
        format!("others can read the secrets file {shown} (mode {:04o}): chmod 600 {shown}", mode & 0o7777),
    ))
}

/// Lines of `name=value`; blank lines and lines that begin with `#` say nothing. A value is taken as it stands.
fn parse_secrets(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut secrets = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let number = number + 1;
        // The line is not shown: it may be a secret that somebody put there without a name.
        let (name, value) = line.split_once('=').ok_or_else(|| format!("line {number}: no `=`; write name=value"))?;
        let name = name.trim();
        let name = name.strip_prefix(PREFIX).unwrap_or(name);
        if name.is_empty() {
            return Err(format!("line {number}: no name before `=`"));
        }
        if secrets.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(format!("line {number}: `{name}` is given twice"));
        }
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secrets_file_is_read_line_by_line() {
        let secrets = parse_secrets("# keys\n\nak_id=LTAI\nsecret_values.ak_secret= a=b \n").unwrap();
        assert_eq!(secrets["ak_id"], "LTAI");
        assert_eq!(secrets["ak_secret"], " a=b ");
        for (text, says) in [
            ("hunter2", "line 1: no `=`"),
            ("a=1\n=hunter2", "line 2: no name"),
            ("a=1\na=hunter2", "line 2: `a` is given twice"),
        ] {
            let error = parse_secrets(text).unwrap_err();
            assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn each_sort_of_variable_has_its_own_order() {
        let variables = ScriptVariables::of([("queue", "orders")], [("key", "from the file")]);
        let environment = |name: &str| Some(format!("{name} of the environment"));
        for (name, value) in [
            ("queue", "orders"),
            ("other", "other of the environment"),
            ("secret_values.key", "from the file"),
            ("secret_values.queue", "queue of the environment"),
            ("key", "key of the environment"),
        ] {
            assert_eq!(variables.lookup(name, environment).as_deref(), Some(value), "{name}");
        }
        assert_eq!(variables.lookup("other", |_| None), None);
        assert!(!format!("{variables:?}").contains("from the file"));
    }

    #[test]
    fn definitions_are_checked() {
        assert_eq!(definition(&"a=b=c".into()), Ok(("a".into(), "b=c".into())));
        assert!(definition(&"a".into()).is_err() && definition(&"=b".into()).is_err());
        assert!(definition(&"secret_values.a=b".into()).unwrap_err().contains("--secrets"));
    }
}
