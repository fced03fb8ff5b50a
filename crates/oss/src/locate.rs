//! Finding the values of columns in one event, in one pass, without reading them.

use headwater_formats::json::{Kind, ScanError, Scanner, Text};

use crate::columns::COLUMNS;

/// The paths to look for, as a tree of names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paths {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
struct Node {
    name: &'static str,
    /// Which column's value lies here, and whether it is the place inside of `oss`.
    slot: Option<(usize, bool)>,
    children: Paths,
}

/// Where the values of an event lie.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Per column the place at the event's own level and the one inside of `oss`.
    places: Vec<[Place; 2]>,
    /// Whether it is an event at all: it has an `eventName` or an `oss`.
    pub(crate) is_event: bool,
}

/// What is at a place where a column's value may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Missing,
    /// A null, at this offset.
    Null(usize),
    /// A value, at this offset.
    Value(usize),
    /// Something in the way that should be an object, at this offset.
    NoObject(usize),
}

impl Paths {
    /// The paths of these columns (positions in [`COLUMNS`]).
    pub(crate) fn of(columns: impl Iterator<Item = usize>) -> Self {
        let mut paths = Self::default();
        // Whether something is an event shows in these two, whatever columns are wanted.
        paths.insert(&["eventName"], None);
        paths.insert(&["oss"], None);
        for column in columns {
            let path = COLUMNS[column].path;
            let inside = path[0] == "oss";
            paths.insert(path, Some((column, inside)));
            if !inside {
                let inner: Vec<&'static str> = std::iter::once("oss").chain(path.iter().copied()).collect();
                paths.insert(&inner, Some((column, true)));
            }
        }
        paths
    }

    fn insert(&mut self, path: &[&'static str], slot: Option<(usize, bool)>) {
        let [name, rest @ ..] = path else { return };
        let i = self.nodes.iter().position(|node| node.name == *name).unwrap_or_else(|| {
            self.nodes.push(Node { name, slot: None, children: Self::default() });
            self.nodes.len() - 1
        });
        match rest {
            [] => self.nodes[i].slot = slot.or(self.nodes[i].slot),
            _ => self.nodes[i].children.insert(rest, slot),
        }
    }

    /// Reads the event object that comes next.
    pub(crate) fn event(&self, scanner: &mut Scanner<'_>, found: &mut Found) -> Result<(), ScanError> {
        found.clear();
        self.object(scanner, found, 0)
    }

    fn object(&self, scanner: &mut Scanner<'_>, found: &mut Found, depth: usize) -> Result<(), ScanError> {
        let mut first = true;
        scanner.enter()?;
        while let Some(key) = scanner.next_key(first)? {
            first = false;
            self.member(key, scanner, found, depth)?;
        }
        Ok(())
    }

    /// Reads the value of a member of the event (`depth` 0) or of an object in it.
    pub(crate) fn member(
        &self,
        key: Text<'_>,
        scanner: &mut Scanner<'_>,
        found: &mut Found,
        depth: usize,
    ) -> Result<(), ScanError> {
        let Some(node) = self.find(key)? else { return scanner.skip() };
        found.is_event |= depth == 0 && matches!(node.name, "eventName" | "oss");
        // A key that comes again replaces everything that was found under it before.
        node.mark(found, Place::Missing);
        let (at, kind) = (scanner.position(), scanner.peek()?);
        match (kind, node.children.nodes.is_empty()) {
            (Kind::Null, true) => node.mark(found, Place::Null(at)),
            (_, true) => node.mark(found, Place::Value(at)),
            (Kind::Object, false) => return node.children.object(scanner, found, depth + 1),
            (Kind::Null, false) => {}
            (_, false) => node.mark(found, Place::NoObject(at)),
        }
        scanner.skip()
    }

    fn find(&self, key: Text<'_>) -> Result<Option<&Node>, ScanError> {
        if key.plain {
            return Ok(self.nodes.iter().find(|node| node.name.as_bytes() == key.raw));
        }
        let mut name = Vec::with_capacity(key.raw.len());
        key.decode(&mut name)?;
        Ok(self.nodes.iter().find(|node| node.name.as_bytes() == name))
    }
}

impl Node {
    fn mark(&self, found: &mut Found, place: Place) {
        if let Some((column, inside)) = self.slot {
            found.places[column][usize::from(inside)] = place;
        }
        for child in &self.children.nodes {
            child.mark(found, place);
        }
    }
}

impl Found {
    pub(crate) fn nothing() -> Self {
        Self { places: vec![[Place::Missing; 2]; COLUMNS.len()], is_event: false }
    }

    pub(crate) fn clear(&mut self) {
        self.places.fill([Place::Missing; 2]);
        self.is_event = false;
    }

    /// Where to read a column: a value at the event's level, else inside of `oss`; else what is there instead.
    pub(crate) fn place(&self, column: usize) -> Place {
        let [event, inside] = self.places[column];
        match (event, inside) {
            (Place::Value(_) | Place::NoObject(_), _) => event,
            (Place::Null(_), Place::Missing) => event,
            _ => inside,
        }
    }
}
