//! Filters of the bodies of responses.

use crate::Exchange;

/// Sees the body of a response piece by piece, and changes it.
///
/// A filter never waits. What has to ask somebody about a body reads it in `before_proxy` and answers with a
/// [`BodyStream`](crate::BodyStream).
pub trait BodyFilter {
    /// All `header_filter` hooks have run, and the head is about to be sent: the last moment to change it. `false` takes the filter
    /// away.
    fn begin(&mut self, _ex: &mut Exchange<'_>) -> bool {
        true
    }

    /// Whether it sees what all others have made of the body, whatever its plugin's priority: what encodes a body for the client does.
    fn runs_last(&self) -> bool {
        false
    }

    /// Takes a piece as it came, and appends to `out` what goes on in its place. The last call has `is_last`, maybe with an empty
    /// piece. It is not made where the response broke off, nor after [`Filtered::End`].
    fn filter(
        &mut self,
        ex: &mut Exchange<'_>,
        piece: &[u8],
        is_last: bool,
        out: &mut Vec<u8>,
    ) -> Filtered;

    /// Whether every piece goes on with as many bytes as it came with, so that `Content-Length` stays. The response is cut where a
    /// filter that said so does otherwise.
    fn keeps_length(&self) -> bool {
        false
    }
}

/// What becomes of a body after a piece of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Filtered {
    /// It goes on.
    More,
    /// It ends behind what has been appended, whole: what the upstream has still to say is not waited for. Filters that follow are told
    /// that this is the last piece.
    End,
    /// It is cut, and so is the connection to the client, so that what was sent is not taken for the whole.
    Abort,
}

/// Passes a piece of a response's body through filters, in their order; what comes of it is appended to `out`.
/// [`Filtered::End`] where nothing follows, also because this was the last piece. `between` is memory.
pub fn filter_body(
    filters: &mut [Box<dyn BodyFilter>],
    ex: &mut Exchange<'_>,
    piece: &[u8],
    is_last: bool,
    between: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Filtered {
    let Some((first, others)) = filters.split_first_mut() else {
        out.extend_from_slice(piece);
        return ending(is_last);
    };
    let begin = out.len();
    let mut passed = pass_one(first.as_mut(), ex, piece, is_last, out);
    for filter in others {
        if passed == Filtered::Abort {
            return passed;
        }
        between.clear();
        between.extend(out.drain(begin..));
        let is_last = passed == Filtered::End;
        passed = pass_one(filter.as_mut(), ex, between, is_last, out);
    }
    passed
}

fn pass_one(
    filter: &mut dyn BodyFilter,
    ex: &mut Exchange<'_>,
    piece: &[u8],
    is_last: bool,
    out: &mut Vec<u8>,
) -> Filtered {
    let begin = out.len();
    let passed = filter.filter(ex, piece, is_last, out);
    if filter.keeps_length() && passed != Filtered::Abort && out.len() - begin != piece.len() {
        tracing::error!(
            taken = piece.len(),
            given = out.len() - begin,
            "a filter that keeps the length of bodies did not: the response is cut"
        );
        return Filtered::Abort;
    }
    match passed {
        Filtered::More => ending(is_last),
        other => other,
    }
}

/// What is said of a piece: the last one ends the body.
fn ending(is_last: bool) -> Filtered {
    if is_last {
        Filtered::End
    } else {
        Filtered::More
    }
}
