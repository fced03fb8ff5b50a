//! Paths into JSON: `$.a.b[0]['c d']`, with `lax` or `strict` (the default, as in Flink) before.

/// A checked path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonPath {
    /// In lax mode a part that is missing, and a text that is no JSON, are empty; in strict mode they are errors.
    pub(crate) lax: bool,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    /// Counted from 0, or from the end when negative.
    Index(i64),
}

/// Deeper paths than this are a mistake; the walk goes by recursion.
const MAX_STEPS: usize = 64;

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// A sentence: not a path, or one with wildcards, filters or functions.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim_start();
        let mode = |word: &str| {
            let head = trimmed.get(..word.len())?;
            let rest = &trimmed[word.len()..];
            (head.eq_ignore_ascii_case(word) && rest.starts_with(char::is_whitespace)).then(|| rest.trim_start())
        };
        let (lax, path) = match (mode("lax"), mode("strict")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => (false, trimmed),
        };
        let mut rest = path.trim_end().strip_prefix('$').ok_or("a JSON path begins with `$`")?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, next) = step(rest)?;
            steps.push(step);
            rest = next;
        }
        if steps.len() > MAX_STEPS {
            return Err(format!("a JSON path may have {MAX_STEPS} steps"));
        }
        Ok(Self { lax, steps })
    }
}

fn step(text: &str) -> Result<(Step, &str), String> {
    if text.starts_with("..") || text.starts_with(".*") || text.starts_with("[*") {
        return Err("wildcards (`*`, `..`) are not supported in JSON paths".to_owned());
    }
    // As in Flink, `.[…]` is the same as `[…]`.
    if let Some(inner) = text.strip_prefix('[').or_else(|| text.strip_prefix(".[")) {
        return bracket(inner);
    }
    let name = text.strip_prefix('.').ok_or_else(|| format!("`{text}` is no step of a JSON path"))?;
    let len = name.find(['.', '[']).unwrap_or(name.len());
    let (name, rest) = name.split_at(len);
    if name.is_empty() || name.contains(['(', ')', '*', '?', '@', '$', '\'', '"', ' ']) {
        return Err(format!("`{name}` is no name in a JSON path; write ['{name}'], or CAST the result of a function"));
    }
    Ok((Step::Key(name.to_owned()), rest))
}

fn bracket(text: &str) -> Result<(Step, &str), String> {
    let text = text.trim_start();
    if let Some(quote @ ('\'' | '"')) = text.chars().next() {
        let mut key = String::new();
        let mut chars = text[1..].char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => key.extend(chars.next().map(|(_, c)| c)),
                c if c == quote => {
                    let rest = text[1 + at + 1..].trim_start().strip_prefix(']');
                    return rest
                        .map(|rest| (Step::Key(key), rest))
                        .ok_or_else(|| "one name stands in `[…]`".to_owned());
                }
                c => key.push(c),
            }
        }
        return Err("a name of the JSON path is not closed".to_owned());
    }
    let (inside, rest) = text.split_once(']').ok_or("a `[` of the JSON path is not closed")?;
    let index = inside.trim().parse().map_err(|_| {
        format!("`[{inside}]` is not supported in JSON paths; a number or a quoted name stands in the brackets")
    })?;
    Ok((Step::Index(index), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read() {
        let key = |k: &str| Step::Key(k.to_owned());
        for (text, lax, steps) in [
            ("$", false, vec![]),
            ("$.a.b[0]", false, vec![key("a"), key("b"), Step::Index(0)]),
            ("lax $.a", true, vec![key("a")]),
            ("STRICT  $['a b'][\"c'd\"]", false, vec![key("a b"), key("c'd")]),
            ("$.[\"a.b\"][-1]", false, vec![key("a.b"), Step::Index(-1)]),
            (r"$['it\'s']", false, vec![key("it's")]),
            ("$.laxity", false, vec![key("laxity")]),
        ] {
            assert_eq!(JsonPath::parse(text), Ok(JsonPath { lax, steps }), "{text}");
        }
        for text in
            ["", "a", "lax", "$a", "$.", "$..a", "$.*", "$[*]", "$[0,1]", "$[?(@.a)]", "$.a.length()", "$['a", "$[0"]
        {
            assert!(JsonPath::parse(text).is_err(), "{text}");
        }
    }
}
