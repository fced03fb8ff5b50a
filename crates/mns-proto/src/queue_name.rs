//! Names of queues.

use crate::numbers::QUEUE_NAME_LENGTH;

/// What is wrong with a queue's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueueNameError {
    /// Empty, or longer than 120 characters.
    #[error("the queue name has {length} characters; it needs 1 to 120")]
    Length {
        /// Its length in characters.
        length: usize,
    },
    /// A character that is not allowed.
    #[error("the queue name holds {found:?} at character {position}; letters, digits and hyphens are allowed")]
    Character {
        /// The character.
        found: char,
        /// Where it is, from 1.
        position: usize,
    },
    /// A hyphen in front.
    #[error("the queue name starts with a hyphen; it must start with a letter or a digit")]
    FirstCharacter,
}

/// Checks a queue's name: 1 to 120 letters, digits and hyphens, a letter or digit first (`CreateQueue` page).
///
/// # Errors
/// [`QueueNameError`] says which rule is broken, and where.
pub fn check_queue_name(name: &str) -> Result<(), QueueNameError> {
    let length = name.chars().count();
    if !QUEUE_NAME_LENGTH.contains(&length) {
        return Err(QueueNameError::Length { length });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if let Some((index, found)) = name.chars().enumerate().find(|(_, c)| !allowed(*c)) {
        return Err(QueueNameError::Character { found, position: index + 1 });
    }
    if name.starts_with('-') {
        return Err(QueueNameError::FirstCharacter);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_with_coordinates() {
        for good in ["q", "9", "my-queue-1", &"a".repeat(120)] {
            assert_eq!(check_queue_name(good), Ok(()), "{good:?}");
        }
        assert_eq!(check_queue_name(""), Err(QueueNameError::Length { length: 0 }));
        assert_eq!(check_queue_name(&"a".repeat(121)), Err(QueueNameError::Length { length: 121 }));
        assert_eq!(check_queue_name("-q"), Err(QueueNameError::FirstCharacter));
        assert_eq!(check_queue_name("a_b"), Err(QueueNameError::Character { found: '_', position: 2 }));
        assert_eq!(check_queue_name("你"), Err(QueueNameError::Character { found: '你', position: 1 }));
    }
}
