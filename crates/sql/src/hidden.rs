//! What others say of option values, without what came from variables: it may be secret, whatever its name is.

use crate::variables::OptionValue;

const SHOWN: &str = "***";

/// Shorter texts are hidden where they stand in quotes only: elsewhere they are parts of words.
const SHORTEST: usize = 4;

/// What errors put around what they quote.
const QUOTES: [char; 3] = ['`', '\'', '"'];

/// The message without the values that hold a variable, and without the pieces of them that it quotes.
pub(crate) fn hide<'v>(message: String, values: impl IntoIterator<Item = &'v OptionValue>) -> String {
    let mut forms: Vec<String> = Vec::new();
    for value in values.into_iter().filter(|value| value.is_substituted()) {
        for text in value.substituted().chain([value.reveal()]).map(str::trim) {
            let debug = format!("{text:?}");
            forms.extend([text.to_owned(), text.to_lowercase(), debug[1..debug.len() - 1].to_owned()]);
        }
    }
    // The longest first: one may be a part of another.
    forms.sort_unstable_by_key(|form| std::cmp::Reverse(form.len()));
    let long = forms.iter().filter(|form| form.len() >= SHORTEST);
    let message = long.fold(message, |message, form| message.replace(form.as_str(), SHOWN));
    QUOTES.iter().fold(message, |message, quote| hide_quoted(&message, *quote, &forms))
}

/// Looks at what is between any two marks, since an apostrophe may stand before the first.
fn hide_quoted(message: &str, quote: char, forms: &[String]) -> String {
    let pieces: Vec<&str> = message.split(quote).collect();
    let last = pieces.len() - 1;
    let hidden = |(at, piece): (usize, &&str)| {
        let quoted = at > 0 && at < last && !piece.trim().is_empty();
        if quoted && forms.iter().any(|form| form.contains(*piece)) { SHOWN.to_owned() } else { (*piece).to_owned() }
    };
    pieces.iter().enumerate().map(hidden).collect::<Vec<_>>().join(&quote.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variables::MapVariables;

    fn hidden(quoted: &str, variable: &str, message: &str) -> String {
        let variables: MapVariables = [("v", variable)].into_iter().collect();
        hide(message.to_owned(), [&OptionValue::substitute(quoted, &variables).expect("known")])
    }

    #[test]
    fn what_came_from_a_variable_is_hidden_and_nothing_else() {
        for (quoted, variable, message, shown) in [
            ("${v}", "hunter2", "is `hunter2`: it takes a whole number", "is `***`: it takes a whole number"),
            ("a-${v}-b", "hunter2", "is `a-hunter2-b`, or hunter2", "is `***`, or ***"),
            ("${v}", "10Hunter2", "`hunter2` is not a unit of time", "`***` is not a unit of time"),
            ("${v}", "x", "is `x`: it takes 1 to 6 or 'max'", "is `***`: it takes 1 to 6 or 'max'"),
            ("${v}", "https://a:b@c", "a queue's host is 'a:b@c', not \"c\"", "a queue's host is '***', not \"***\""),
            ("${v}", "a\"b\\c d", "is \"a\\\"b\\\\c d\"", "is \"***\""),
            ("${v}", " hunter2 ", "is `hunter2`", "is `***`"),
            ("plain", "hunter2", "is `plain`", "is `plain`"),
            ("${v}", "", "is ``: it takes text", "is ``: it takes text"),
        ] {
            assert_eq!(hidden(quoted, variable, message), shown);
        }
    }
}
