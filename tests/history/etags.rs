//! Which ETag belongs to which version of the data, as far as responses show.

use std::collections::{HashMap, HashSet};

use crate::operation::{Kind, Operation, Origin, Outcome};

/// The version that each tag stands for. A version is named after the operation that made it.
#[derive(Debug, Default)]
pub(crate) struct ETags {
    versions: HashMap<String, Origin>,
    /// Operations that were sent again. Each time one is applied, its version gets a new tag.
    repeated: HashSet<Origin>,
}

impl ETags {
    /// Collects the tags of all responses.
    ///
    /// # Errors
    /// A tag stands for different data, or a version that was made only once has two tags.
    pub(crate) fn collect(operations: &[Operation]) -> Result<Self, String> {
        let mut etags = Self::default();
        let mut sent = HashSet::new();
        for Operation { origin, .. } in operations {
            if !sent.insert(*origin) {
                etags.repeated.insert(*origin);
            }
        }
        let mut contents: HashMap<&String, &Vec<Origin>> = HashMap::new();
        let mut tags: HashMap<Origin, &String> = HashMap::new();
        for operation in operations {
            let Some(seen) = operation.seen() else { continue };
            let Some(tag) = &seen.etag else { continue };
            // A patch that is applied again may change nothing.
            let is_known = !matches!(operation.kind, Kind::Patch(_))
                || !etags.repeated.contains(&operation.origin);
            let is_success = matches!(operation.outcome, Outcome::Success(_));
            let made = is_success && is_known && operation.makes_data();
            let version = match &seen.data {
                Some(data) => data.last().copied(),
                None => made.then_some(operation.origin),
            };
            let Some(version) = version else { continue };
            let is_other = |known: &Origin| *known != version;
            if etags.versions.insert(tag.clone(), version).as_ref().is_some_and(is_other)
                || seen
                    .data
                    .as_ref()
                    .is_some_and(|data| *contents.entry(tag).or_insert(data) != data)
            {
                return Err(format!("the ETag {tag} stands for different data"));
            }
            if *tags.entry(version).or_insert(tag) != tag && !etags.repeated.contains(&version) {
                return Err(format!("the data that operation {version} wrote has two ETags"));
            }
        }
        Ok(etags)
    }

    /// Whether the tag belongs to this version. `None` if no response shows that.
    pub(crate) fn is_of(&self, tag: &str, version: Origin) -> Option<bool> {
        let is_repeated = self.repeated.contains(&version);
        match self.versions.get(tag) {
            Some(other) if *other != version => Some(false),
            Some(_) => (!is_repeated).then_some(true),
            None if is_repeated => None,
            None => self.versions.values().any(|known| *known == version).then_some(false),
        }
    }
}
