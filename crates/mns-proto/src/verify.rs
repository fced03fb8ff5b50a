//! Signature version 2, the side that checks.

use subtle::ConstantTimeEq as _;

use crate::code::ErrorCode;
use crate::date::parse_date;
use crate::failure::ServiceError;
use crate::numbers::{MAX_CLOCK_SKEW_SECONDS, VERSION};
use crate::sign::{SECURITY_TOKEN_HEADER, SignedHeaders, Signer};

/// Checks a request's signature, its version header and its date.
///
/// `headers` are all headers of the request; `target` is the request target as received, before any decoding. `key`
/// finds the signer for an access key id. `now` is the server's clock in seconds since 1970, or `None` to accept any
/// date. Signatures and tokens are compared in constant time. Returns the access key id.
///
/// The date is that of `x-mns-date` where it is sent, which clients do whose HTTP library sets `Date` itself. The
/// signed text's date line is `Date`; without one, `x-mns-date` or an empty line is accepted, as no document says
/// which.
///
/// # Errors
/// The error to answer with: a missing or malformed header (400), `InvalidAccessKeyId` or `SignatureDoesNotMatch`
/// (403), `TimeExpired` (408). A temporary key without its token is answered as an unknown key.
pub fn verify<'h, 'k>(
    method: &str,
    target: &str,
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])> + Clone,
    key: impl FnOnce(&str) -> Option<&'k Signer>,
    now: Option<u64>,
) -> Result<String, ServiceError> {
    let find = |wanted: &str| headers.clone().into_iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let signed = SignedHeaders::collect(headers.clone());

    let (_, authorization) = find("authorization").ok_or_else(|| error(ErrorCode::MissingAuthorizationHeader))?;
    let (id, signature) =
        split_authorization(authorization).ok_or_else(|| error(ErrorCode::InvalidAuthorizationHeader))?;
    check_date(&signed, now)?;

    let signer = key(id).ok_or_else(|| error(ErrorCode::InvalidAccessKeyId))?;
    if let Some(token) = signer.key().token() {
        let sent = find(SECURITY_TOKEN_HEADER).map(|(_, value)| value).unwrap_or_default();
        if !bool::from(sent.ct_eq(token.as_bytes())) {
            return Err(error(ErrorCode::InvalidAccessKeyId));
        }
    }
    let date_lines = match (signed.date, signed.x_mns("x-mns-date")) {
        (Some(date), _) => vec![date],
        (None, Some(date)) => vec![date, b""],
        (None, None) => return Err(error(ErrorCode::MissingDateHeader)),
    };
    let fits = date_lines.iter().any(|date| {
        let expected = signer.signature(&signed.string_to_sign(method, target, date));
        bool::from(expected.as_bytes().ct_eq(signature.as_bytes()))
    });
    if !fits {
        return Err(error(ErrorCode::SignatureDoesNotMatch));
    }
    // Last, so that who forgot the header (and did not sign it) is told so instead of being told of a wrong signature.
    match signed.x_mns("x-mns-version") {
        None => Err(error(ErrorCode::MissingVersionHeader)),
        Some(version) if version != VERSION.as_bytes() => Err(error(ErrorCode::InvalidVersionHeader)),
        Some(_) => Ok(id.to_owned()),
    }
}

fn check_date(signed: &SignedHeaders<'_>, now: Option<u64>) -> Result<(), ServiceError> {
    let date = signed.x_mns("x-mns-date").or(signed.date).ok_or_else(|| error(ErrorCode::MissingDateHeader))?;
    let sent = std::str::from_utf8(date)
        .ok()
        .and_then(|text| parse_date(text.trim()))
        .ok_or_else(|| error(ErrorCode::InvalidDateHeader))?;
    match now {
        Some(now) if now.abs_diff(sent) > MAX_CLOCK_SKEW_SECONDS => Err(error(ErrorCode::TimeExpired)),
        _ => Ok(()),
    }
}

/// `MNS id:signature` in its two parts.
fn split_authorization(value: &[u8]) -> Option<(&str, &str)> {
    let value = std::str::from_utf8(value).ok()?;
    let (id, signature) = value.strip_prefix("MNS ")?.split_once(':')?;
    (!id.is_empty() && !signature.is_empty()).then_some((id, signature))
}

fn error(code: ErrorCode) -> ServiceError {
    ServiceError::new(code)
}
