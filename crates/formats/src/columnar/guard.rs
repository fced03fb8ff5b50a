//! The last line of defence against a foreign reader that panics on a corrupt file.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use super::broken;
use crate::DecodeError;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a foreign reader, and makes an error of its panic.
///
/// What can be checked is checked before the reader sees it. The rest cannot: both readers index, unwrap and assert in
/// the midst of decoding, and a body comes from whoever may write to the queue. Nothing that the reader had in hand
/// may be used after an error.
pub(crate) fn guarded<T>(reader: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    silence_guarded_panics();
    let outer = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(reader));
    GUARDED.set(outer);
    result.unwrap_or_else(|_| Err(broken("the file is corrupt: its reader gave up in the midst of it")))
}

/// A panic that is caught is no news for the operator, yet the hook would print it, for every corrupt message anew. So
/// the hook that was there is called for all but guarded code, which is this thread's alone.
fn silence_guarded_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                before(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        assert_eq!(guarded(|| Ok(7)).expect("no panic"), 7);
        let nothing: Vec<u8> = Vec::new();
        let index = nothing.len();
        let error = guarded(|| Ok(nothing[index])).expect_err("out of bounds");
        assert!(error.to_string().contains("corrupt"), "{error}");
        assert!(!GUARDED.get());
    }
}
