//! A request's log line.

use std::time::Duration;

use super::problem::Problem;
use crate::logging;
use crate::session::Handle;
use crate::store::Usage;

/// A request's line in the log. The template counts failures by `status` and `version`.
///
/// We log only these fields: no ids, tokens, users, or data. We don't log the path either, because a caller may
/// have put one of those into it.
pub(super) struct RequestLog<'a> {
    pub(super) request_id: &'a str,
    pub(super) version: &'a str,
    pub(super) gateway_request_id: Option<&'a str>,
    pub(super) route: Option<&'static str>,
    pub(super) status: u16,
    pub(super) elapsed: Duration,
    pub(super) usage: Usage,
    pub(super) handle: Option<&'a Handle>,
    pub(super) problem: Option<&'a Problem>,
}

impl RequestLog<'_> {
    /// Writes the line: at `error` if the problem has a cause, otherwise at `info`. Every problem gets a line, but
    /// only one in `one_in` successful requests does.
    ///
    /// The `sample` field is the number of requests that the line stands for.
    pub(super) fn write(self, one_in: u32) {
        let sample = if self.problem.is_none() { one_in } else { 1 };
        if !is_sampled(self.request_id, sample) {
            return;
        }
        let Self { request_id, version, gateway_request_id, status, .. } = self;
        let route = self.route.unwrap_or("none");
        let ms = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX);
        let capacity = self.usage.capacity;
        let retries = self.usage.retries();
        let handle = self.handle.map(Handle::prefix);
        let problem = self.problem.map(Problem::code);
        match self.problem.and_then(Problem::cause) {
            None => tracing::info!(
                request_id,
                version,
                gateway_request_id,
                route,
                status,
                ms,
                capacity,
                retries,
                handle,
                problem,
                sample,
            ),
            Some(cause) => tracing::error!(
                request_id, version, gateway_request_id, route, status, ms, capacity, retries,
                handle, problem, sample,
                cause = %logging::chain(cause.as_ref()),
            ),
        }
    }
}

/// Whether a request is in the sample. Its id is a random UUID, so we don't need a random number to decide.
fn is_sampled(request_id: &str, one_in: u32) -> bool {
    let digits = request_id.bytes().rev().filter_map(|digit| char::from(digit).to_digit(16));
    let number =
        digits.take(6).fold(0, |number: u32, digit| number.wrapping_mul(16).wrapping_add(digit));
    number.checked_rem(one_in).is_none_or(|rest| rest == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    #[test]
    fn one_request_in_so_many_is_sampled() {
        for one_in in [1, 10, 100] {
            let sampled = (0..20_000).filter(|_| {
                let bytes = random::bytes::<16>().unwrap();
                is_sampled(&format!("{:032x}", u128::from_be_bytes(bytes)), one_in)
            });
            let expected = 20_000 / one_in as usize;
            let sampled = sampled.count();
            // At least six standard deviations.
            assert!(
                sampled.abs_diff(expected) <= expected / 2,
                "{sampled} of 20,000, 1 in {one_in}"
            );
        }
        assert!(is_sampled("no id", 1));
    }
}
