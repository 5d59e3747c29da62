//! Refusals: the one table from error kinds to HTTP, and Docker's error body.

use fault::Kind;
use hyper::StatusCode;

use crate::reply::Reply;

/// A refusal on its way to the client.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    message: String,
}

/// An answer or a refusal.
pub(crate) type Result<T = Reply> = std::result::Result<T, Problem>;

impl Problem {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            status: status(kind),
            message: message.into(),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// No such route.
    pub(crate) fn no_route() -> Self {
        Self::new(Kind::NotFound, "page not found")
    }

    /// A route Docker has and we do not, yet.
    pub(crate) fn unimplemented(what: &str) -> Self {
        Self::new(
            Kind::Unimplemented,
            format!("{what} is not implemented yet"),
        )
    }

    pub(crate) fn into_reply(self) -> Reply {
        if self.status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::warn!(
                status = self.status.as_u16(),
                message = self.message,
                "request failed"
            );
        }
        Reply::json(&api::error::ErrorResponse {
            message: self.message,
        })
        .status(self.status)
    }
}

/// The one table.
fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Denied => StatusCode::FORBIDDEN,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<engine::Error> for Problem {
    fn from(error: engine::Error) -> Self {
        Self::new(error.kind(), in_words(&fault::chain(&error)))
    }
}

impl From<ids::Error> for Problem {
    fn from(error: ids::Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

/// The C library's words as clients know them: `No such file or directory (os error 2)` without the number and in lower
/// case. The docker command line picks its exit code (126, 127) by such words.
pub(crate) fn in_words(message: &str) -> String {
    let mut words = String::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, after)) = rest.split_once(" (os error ") {
        let Some((_, after)) = after.split_once(')') else {
            break;
        };
        let begin = before.rfind(": ").map_or(0, |at| at + 2);
        let (head, phrase) = before.split_at(begin);
        words.push_str(head);
        let mut letters = phrase.chars();
        words.extend(letters.next().map(|first| first.to_ascii_lowercase()));
        words.push_str(letters.as_str());
        rest = after;
    }
    words.push_str(rest);
    words
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn the_systems_words_lose_their_number() {
        let check = |message: &str, expect: &str| assert_eq!(in_words(message), expect);
        check(
            "open /x: No such file or directory (os error 2): y",
            "open /x: no such file or directory: y",
        );
        check("Is a directory (os error 21)", "is a directory");
        check("nothing (of the kind)", "nothing (of the kind)");
    }
}
