//! Operations of a history: what a client asked for, and what it was told.

use std::collections::HashMap;

/// Number of an id in the history. Every rotation has one for its new id, known or not.
pub(crate) type Id = usize;
/// Number of the operation that made a version of the data, took a lock or set a label.
pub(crate) type Origin = usize;

/// What an operation does to the session's attributes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Attributes {
    pub(crate) ttl: Option<u64>,
    pub(crate) user: Option<Option<u8>>,
    pub(crate) has_label: bool,
}

/// What an operation says of the lock. A token is known by the operation that took the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    None,
    Held(Origin),
    Released(Origin),
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Create,
    Read,
    Head,
    Replace {
        if_match: Option<String>,
        lock: Lock,
        attributes: Attributes,
    },
    Patch {
        if_match: Option<String>,
        lock: Lock,
        attributes: Attributes,
    },
    Touch {
        lock: Lock,
        attributes: Attributes,
    },
    Rotate {
        new: Id,
        data: bool,
        grace: bool,
        if_match: Option<String>,
        lock: Lock,
        attributes: Attributes,
    },
    Lock {
        renewed: Option<Origin>,
        ttl: Option<u64>,
    },
    Unlock {
        token: Origin,
    },
    Destroy {
        if_match: Option<String>,
    },
    Revoke {
        user: u8,
    },
    RevokeAll {
        user: u8,
    },
}

/// What a response says of the session. Headers and data that it does not have are `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Seen {
    /// Operations that made the members of the data, in order. The last one made its version.
    pub(crate) data: Option<Vec<Origin>>,
    pub(crate) etag: Option<String>,
    /// All metadata, if the response has it.
    pub(crate) metadata: Option<Metadata>,
    pub(crate) ttl: Option<u64>,
    pub(crate) destroyed: Option<u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Metadata {
    pub(crate) user: Option<u8>,
    pub(crate) label: Option<Origin>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// `503`: it may take effect at any later time, or never.
    Unknown,
    Success(Seen),
    /// The status and the problem, and the current data if the request preferred that.
    Refused(String, Seen),
}

#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// Number of the operation, which its data and its label contain.
    pub(crate) origin: Origin,
    pub(crate) client: usize,
    /// Whether attempts may have been repeated without the client's doing. The response of such an attempt
    /// shows the attributes as they are by then, and cannot tell who destroyed a session.
    pub(crate) may_be_repeated: bool,
    pub(crate) id: Id,
    pub(crate) kind: Kind,
    /// Moments on a clock that all clients share.
    pub(crate) invoked: u64,
    pub(crate) returned: u64,
    pub(crate) outcome: Outcome,
}

impl Operation {
    pub(crate) fn is_pending(&self) -> bool {
        self.outcome == Outcome::Unknown
    }

    /// Whether the response may show data that was written after the operation took effect. Only a renewal
    /// of a lock must show data, and others who have the token may write in between.
    pub(crate) fn may_show_later_data(&self) -> bool {
        self.may_be_repeated && matches!(self.kind, Kind::Lock { renewed: Some(_), .. })
    }

    fn makes_data(&self) -> bool {
        matches!(
            self.kind,
            Kind::Create
                | Kind::Replace { .. }
                | Kind::Patch { .. }
                | Kind::Rotate { data: true, .. }
        )
    }
}

/// The entity tag of each version of the data, as far as any response shows it.
#[derive(Debug, Default)]
pub(crate) struct ETags(HashMap<Origin, String>);

impl ETags {
    /// Collects the tags.
    ///
    /// # Errors
    /// Two responses contradict each other: a version has two tags, or two versions have one.
    pub(crate) fn collect(operations: &[Operation]) -> Result<Self, String> {
        let mut tags = HashMap::new();
        let mut add = |version: Origin, tag: &String| {
            let known: &String = tags.entry(version).or_insert_with(|| tag.clone());
            if known == tag {
                Ok(())
            } else {
                Err(format!("version {version} has two entity tags"))
            }
        };
        for operation in operations {
            let (Outcome::Success(seen) | Outcome::Refused(_, seen)) = &operation.outcome else {
                continue;
            };
            let Some(tag) = &seen.etag else { continue };
            if let Some(version) = seen.data.as_ref().and_then(|data| data.last()) {
                add(*version, tag)?;
            } else if operation.makes_data() {
                add(operation.origin, tag)?;
            }
        }
        let distinct: std::collections::HashSet<_> = tags.values().collect();
        if distinct.len() < tags.len() {
            return Err("two versions of the data have the same entity tag".into());
        }
        Ok(Self(tags))
    }

    /// Whether the tag may be that of this version.
    pub(crate) fn is_of(&self, tag: &str, version: Origin) -> bool {
        match self.0.get(&version) {
            Some(known) => known == tag,
            None => !self.0.values().any(|known| known == tag),
        }
    }
}
