//! A stand-in for the environment, for tests.

/// Returns a function that looks variables up in a list.
pub(super) fn lookup_in<'v>(
    variables: &'v [(&'v str, &'v str)],
) -> impl Fn(&str) -> Option<String> + 'v {
    |name| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}
