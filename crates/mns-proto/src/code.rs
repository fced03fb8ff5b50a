//! Error codes: what the service calls a failure, what status it comes with, and what a client should do about it.

use std::fmt;

use crate::operation::Operation;

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// Passing trouble: the same request may succeed after a pause.
    Retry,
    /// The same request will fail until somebody changes a setting, a right or a key.
    Fatal,
    /// The message or handle is not there any more; the rest of the work is not affected. It says nothing about
    /// whether the message was deleted or only its lease lapsed.
    Gone,
    /// There is no message at the moment: the normal answer to a poll.
    Empty,
    /// Something answered, but not in a form that can be understood. Asking for less may help.
    Unreadable,
}

macro_rules! codes {
    ($($name:ident $status:literal $class:ident $text:literal $(or $alias:literal)*;)*) => {
        /// The `Code` of an error answer.
        ///
        /// The names are the service's own, misspellings included; a code that is not listed is kept as `Other`.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "the names are the service's; each one's text says what it means")]
        pub enum ErrorCode {
            $(#[doc = concat!("HTTP ", stringify!($status), ": \"", $text, "\"")] $name,)*
            /// A code this crate does not know.
            Other(String),
        }

        impl ErrorCode {
            /// Every code with a name, in the order of the documents' table.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Reads a code. Never fails: what is unknown becomes [`ErrorCode::Other`].
            pub fn from_wire(code: &str) -> Self {
                match code {
                    $(stringify!($name) $(| $alias)* => Self::$name,)*
                    other => Self::Other(other.to_owned()),
                }
            }

            /// The code as written on the wire.
            pub fn as_str(&self) -> &str {
                match self { $(Self::$name => stringify!($name),)* Self::Other(code) => code }
            }

            /// The HTTP status the service sends with it (400 for an unknown one).
            pub fn status(&self) -> u16 {
                match self { $(Self::$name => $status,)* Self::Other(_) => 400 }
            }

            /// The text the service sends with it, where known; a sentence of the same kind otherwise.
            pub fn text(&self) -> &'static str {
                match self { $(Self::$name => $text,)* Self::Other(_) => "The request failed." }
            }

            fn plain_class(&self) -> Option<ErrorClass> {
                match self { $(Self::$name => Some(ErrorClass::$class),)* Self::Other(_) => None }
            }
        }
    };
}

codes! {
    MessageNotExist 404 Gone "Message not exist.";
    QueueNotExist 404 Fatal "The queue name you provided is not exist.";
    ReceiptHandleError 400 Gone "The receipt handle you provide is not valid.";
    InternalError 500 Retry "Interal error.";
    InternalServerError 500 Retry "Internal server error.";
    TooManyRequests 429 Retry "The request is denied by cluster flow limiter for too many requests.";
    QpsLimitExceeded 400 Retry "The qps limit is exceeded.";
    TimeExpired 408 Fatal "The http request you sent is expired.";
    SignatureDoesNotMatch 403 Fatal "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
    InvalidAccessKeyId 403 Fatal "The access Id you provided does not exist.";
    AccessDenied 403 Fatal "The OwnerId that your Access Key Id associated to is forbidden for this operation.";
    AccessDeniedByRamPolicy 403 Fatal "Access denied by authorizer's policy.";
    InvalidAuthorizationHeader 400 Fatal "The Authorization header format is invalid.";
    MissingAuthorizationHeader 400 Fatal "Authorization header is required.";
    InvalidDateHeader 400 Fatal "The Date header format is invalid.";
    MissingDateHeader 400 Fatal "Date header is required.";
    MissingVersionHeader 400 Fatal "x-mns-version header is required.";
    InvalidVersionHeader 400 Fatal "The value of x-mns-version header is invalid.";
    InvalidContentType 400 Fatal "The Content-Type header is invalid.";
    InvalidDigest 400 Fatal "The Content-MD5 you specified is invalid." or "InvalidDegist";
    InvalidArgument 400 Fatal "An argument you provided is not valid.";
    InvalidRequestURL 400 Fatal "Http request URL format invalid.";
    InvalidQueryString 400 Fatal "Http request URL contains invalid query string items.";
    MalformedXML 400 Fatal "The XML you provided was not well-formed.";
    MissingReceiptHandle 400 Fatal "ReceiptHandle is required.";
    MissingVisibilityTimeout 400 Fatal "VisibilityTimeout is required.";
    QueueAlreadyExist 409 Fatal "The queue you want to create is already exist.";
    QueueDeletedRecently 400 Retry "The queue you want to create was deleted recently.";
    InvalidQueueName 400 Fatal "The queue name you provided is invalid.";
    QueueNameLengthError 400 Fatal "Queue name length should be between 1 and 120.";
    FifoMissingMessageGroupId 400 Fatal "MessageGroupId is required for a fifo queue.";
    TopicAlreadyExist 409 Fatal "The topic you want to create is already exist.";
    TopicNotExist 404 Fatal "The topic name you provided is not exist.";
    TopicNameInvalid 400 Fatal "The topic name you provided is invalid.";
    TopicNameLengthError 400 Fatal "Topic name length should be between 1 and 120.";
    SubscriptionAlreadyExist 409 Fatal "The subscription you want to create is already exist.";
    SubscriptionNotExist 404 Fatal "The subscription you provided is not exist.";
    SubscriberNotExist 404 Fatal "The subscriber you provided is not exist.";
    SubscriptionNameLengthError 400 Fatal "Subscription name length should be between 1 and 120.";
    SubsriptionNameInvalid 400 Fatal "The subscription name you provided is invalid.";
    EndpointInvalid 400 Fatal "The endpoint you provided is invalid.";
}

impl ErrorCode {
    /// What to do about it. The same code can mean different things: `MessageNotExist` is an empty queue to a
    /// receive and a stale handle to a delete. `status` decides for codes that are not known.
    pub fn class(&self, operation: Operation, status: u16) -> ErrorClass {
        if *self == Self::MessageNotExist && operation.reads_messages() {
            return ErrorClass::Empty;
        }
        self.plain_class().unwrap_or(if is_passing(status) { ErrorClass::Retry } else { ErrorClass::Fatal })
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether an HTTP status alone speaks of passing trouble: every 5xx, "too many requests", and the request timeout of
/// a gateway (the service's own 408 carries the code `TimeExpired`, which is read first).
pub(crate) fn is_passing(status: u16) -> bool {
    status >= 500 || status == 429 || status == 408
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_back_by_its_own_name() {
        for code in ErrorCode::ALL {
            assert_eq!(&ErrorCode::from_wire(code.as_str()), code);
            assert!((400..600).contains(&code.status()), "{code}");
        }
        assert_eq!(ErrorCode::ALL.len(), 41);
    }

    #[test]
    fn both_spellings_of_the_digest_error_are_one_code() {
        assert_eq!(ErrorCode::from_wire("InvalidDegist"), ErrorCode::InvalidDigest);
        assert_eq!(ErrorCode::InvalidDigest.as_str(), "InvalidDigest");
    }

    #[test]
    fn the_class_depends_on_operation_and_status_only_where_it_must() {
        use Operation::*;
        for (code, operation, status, class) in [
            ("MessageNotExist", BatchReceiveMessage, 404, ErrorClass::Empty),
            ("MessageNotExist", PeekMessage, 404, ErrorClass::Empty),
            ("MessageNotExist", DeleteMessage, 404, ErrorClass::Gone),
            ("MessageNotExist", ChangeMessageVisibility, 404, ErrorClass::Gone),
            ("QueueNotExist", BatchReceiveMessage, 404, ErrorClass::Fatal),
            ("TimeExpired", ReceiveMessage, 408, ErrorClass::Fatal),
            ("BrandNew", ReceiveMessage, 503, ErrorClass::Retry),
            ("BrandNew", ReceiveMessage, 400, ErrorClass::Fatal),
        ] {
            assert_eq!(ErrorCode::from_wire(code).class(operation, status), class, "{code} {operation} {status}");
        }
    }
}
