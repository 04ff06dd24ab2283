use crate::Data;

/// Three-way merge of session data by its top-level keys. Returns theirs with my changes: the keys that differ between
/// base and mine. If both changed a key, mine wins.
pub(crate) fn merge(base: &Data, mine: &Data, theirs: &Data) -> Data {
    let mut merged = theirs.clone();
    for (key, value) in mine {
        if base.get(key) != Some(value) {
            merged.insert(key.clone(), value.clone());
        }
    }
    merged.retain(|key, _| mine.contains_key(key) || !base.contains_key(key));
    merged
}
