//! The entity tag of each version of the data, as far as responses show it.

use std::collections::HashMap;

use crate::operation::{Operation, Origin, Outcome};

/// The tag of each version that some response shows. A version is known by the operation that made it.
#[derive(Debug, Default)]
pub(crate) struct ETags(HashMap<Origin, String>);

impl ETags {
    /// Collects the tags of all responses.
    ///
    /// # Errors
    /// A version has two tags, or two versions have the same tag.
    pub(crate) fn collect(operations: &[Operation]) -> Result<Self, String> {
        let mut tags: HashMap<Origin, String> = HashMap::new();
        for operation in operations {
            let Some(seen) = operation.seen() else { continue };
            let Some(tag) = &seen.etag else { continue };
            let made = matches!(operation.outcome, Outcome::Success(_)) && operation.makes_data();
            let version = match &seen.data {
                Some(data) => data.last().copied(),
                None => made.then_some(operation.origin),
            };
            let Some(version) = version else { continue };
            let known = tags.entry(version).or_insert_with(|| tag.clone());
            if known != tag {
                return Err(format!("the data of operation {version} has two entity tags"));
            }
        }
        let mut versions: HashMap<&String, Origin> = HashMap::new();
        for (version, tag) in &tags {
            if let Some(other) = versions.insert(tag, *version) {
                return Err(format!("the data of {version} and {other} has the same entity tag"));
            }
        }
        Ok(Self(tags))
    }

    /// Whether the tag is that of this version. `None` if no response tells.
    pub(crate) fn is_of(&self, tag: &str, version: Origin) -> Option<bool> {
        match self.0.get(&version) {
            Some(known) => Some(known == tag),
            None if self.0.values().any(|known| known == tag) => Some(false),
            None => None,
        }
    }
}
