//! A cursor over XML, on quick-xml's events: open the next child, take its text, or skip it.
//!
//! Namespaces, comments, processing instructions and text between elements are ignored; entities other than XML's own
//! five and document type declarations are errors, so nothing can be expanded. Line ends are kept as sent: a sender
//! that does not escape a carriage return did not mean it to vanish.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::errors::{Error, IllFormedError, SyntaxError};
use quick_xml::events::{BytesStart, Event};

use crate::numbers::MAX_XML_DEPTH;

/// Why text is not the XML expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum XmlError {
    /// Not well-formed.
    #[error("not well-formed XML at byte {at}: {what}")]
    Syntax { at: u64, what: String },
    /// Well-formed, but not of the shape expected.
    #[error("{0}")]
    Shape(String),
}

impl XmlError {
    pub(crate) fn shape(what: impl Into<String>) -> Self {
        Self::Shape(what.into())
    }
}

/// The opening tag of an element.
#[derive(Debug)]
pub(crate) struct Tag<'a>(BytesStart<'a>);

impl Tag<'_> {
    /// The element's name without its prefix.
    pub(crate) fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }
}

#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_end_names = true;
        Self { reader, depth: 0 }
    }

    /// Opens the root element. `None` if there is none: the text is blank.
    pub(crate) fn root(&mut self) -> Result<Option<Tag<'a>>, XmlError> {
        loop {
            match self.event()? {
                Event::Start(tag) => return self.open(tag).map(Some),
                Event::Eof => return Ok(None),
                Event::Text(text) if !text.trim().is_empty() => return Err(self.syntax("text before the root element")),
                Event::Text(_) | Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
                _ => return Err(self.syntax("no root element")),
            }
        }
    }

    /// Opens the next child of the current element. `None` when the current element ends, which closes it.
    pub(crate) fn child(&mut self) -> Result<Option<Tag<'a>>, XmlError> {
        loop {
            match self.event()? {
                Event::Start(tag) => return self.open(tag).map(Some),
                Event::End(_) => {
                    self.depth -= 1;
                    return Ok(None);
                }
                Event::Eof => return Err(self.syntax("the text ends inside an element")),
                _ => {}
            }
        }
    }

    /// The text of the current element, which it closes. Borrowed when it is one plain run.
    pub(crate) fn text(&mut self, tag: &Tag<'_>) -> Result<Cow<'a, str>, XmlError> {
        let mut text = Cow::Borrowed("");
        loop {
            match self.event()? {
                Event::Text(part) => append(&mut text, part.into_inner()),
                Event::CData(part) => append(&mut text, part.into_inner()),
                Event::GeneralRef(reference) => {
                    let character = self.resolve(&reference)?;
                    text.to_mut().push(character);
                }
                Event::End(_) => {
                    self.depth -= 1;
                    return Ok(text);
                }
                Event::Start(_) => {
                    // Not named: text that somebody forgot to escape looks like an element.
                    return Err(XmlError::shape(format!("<{}> holds an element instead of text", tag.name())));
                }
                Event::Eof => return Err(self.syntax("the text ends inside an element")),
                _ => {}
            }
        }
    }

    /// Closes the current element with everything in it.
    pub(crate) fn skip(&mut self) -> Result<(), XmlError> {
        let outer = self.depth - 1;
        while self.depth > outer {
            self.child()?;
        }
        Ok(())
    }

    /// Checks that nothing but blanks and comments follows the root element.
    pub(crate) fn finish(&mut self) -> Result<(), XmlError> {
        loop {
            match self.event()? {
                Event::Eof => return Ok(()),
                Event::Text(text) if text.trim().is_empty() => {}
                Event::Comment(_) | Event::PI(_) => {}
                _ => return Err(self.syntax("something follows the root element")),
            }
        }
    }

    fn event(&mut self) -> Result<Event<'a>, XmlError> {
        match self.reader.read_event() {
            Ok(Event::DocType(_)) => Err(self.syntax("a document type declaration is not accepted")),
            Ok(event) => Ok(event),
            Err(error) => Err(XmlError::Syntax { at: self.reader.error_position(), what: in_words(&error).to_owned() }),
        }
    }

    fn open(&mut self, tag: BytesStart<'a>) -> Result<Tag<'a>, XmlError> {
        if self.depth == MAX_XML_DEPTH {
            return Err(self.syntax("elements are nested too deeply"));
        }
        self.depth += 1;
        Ok(Tag(tag))
    }

    fn resolve(&self, reference: &quick_xml::events::BytesRef<'_>) -> Result<char, XmlError> {
        match reference.resolve_char_ref() {
            Ok(Some(character)) => return Ok(character),
            Ok(None) => {}
            Err(_) => return Err(self.syntax("a reference to a character that XML does not have")),
        }
        match &**reference {
            "amp" => Ok('&'),
            "lt" => Ok('<'),
            "gt" => Ok('>'),
            "quot" => Ok('"'),
            "apos" => Ok('\''),
            _ => Err(self.syntax("an entity that XML does not define")),
        }
    }

    fn syntax(&self, what: &str) -> XmlError {
        XmlError::Syntax { at: self.reader.buffer_position(), what: what.to_owned() }
    }
}

/// What the parser says without the text it quotes: names that do not fit may be parts of somebody's message.
fn in_words(error: &Error) -> &'static str {
    match error {
        Error::Syntax(SyntaxError::UnclosedComment) => "a comment is not closed",
        Error::Syntax(SyntaxError::UnclosedCData) => "a CDATA section is not closed",
        Error::Syntax(SyntaxError::UnclosedDoctype) => "a document type declaration is not accepted",
        Error::Syntax(_) => "a tag is not closed",
        Error::IllFormed(IllFormedError::MissingEndTag(_)) => "an element is not closed",
        Error::IllFormed(IllFormedError::UnmatchedEndTag(_)) => "an end tag has no start tag",
        Error::IllFormed(IllFormedError::MismatchedEndTag { .. }) => "an end tag does not fit its start tag",
        Error::IllFormed(IllFormedError::DoubleHyphenInComment) => "a comment holds two hyphens",
        Error::IllFormed(IllFormedError::UnclosedReference) => "an & that begins no reference",
        Error::InvalidAttr(_) => "an attribute is not well-formed",
        _ => "not XML",
    }
}

fn append<'a>(text: &mut Cow<'a, str>, part: Cow<'a, str>) {
    if text.is_empty() {
        *text = part;
    } else {
        text.to_mut().push_str(&part);
    }
}
