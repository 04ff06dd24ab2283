//! Typical session data of a web shop: the user, a CSRF token and a cart. It's the same in every run,
//! and includes values that compress poorly: ids, tokens and times.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

const ADJECTIVES: [&str; 12] = [
    "Blue",
    "Folding",
    "Enamel",
    "Recycled",
    "Small",
    "Walnut",
    "Striped",
    "Insulated",
    "Linen",
    "Round",
    "Vintage",
    "Waterproof",
];
const NOUNS: [&str; 12] = [
    "mug",
    "backpack",
    "notebook",
    "desk lamp",
    "raincoat",
    "tea towel",
    "bicycle bell",
    "kettle",
    "cushion",
    "wall clock",
    "bread knife",
    "tent",
];

/// Returns session data as JSON of exactly `bytes` bytes.
pub(crate) fn json(bytes: usize) -> Result<String> {
    let mut random = SmallRng::seed_from_u64(bytes.try_into()?);
    let mut session = json!({
        "user": { "id": random.random_range(10_000..1_000_000), "email": "ada@example.com", "roles": ["customer"] },
        "signed_in": time(&mut random),
        "csrf_token": URL_SAFE_NO_PAD.encode(random.random::<[u8; 32]>()),
        "agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        "locale": "de-DE",
        "currency": "EUR",
        "cart": [],
        "note": "",
    });
    loop {
        let item = product(&mut random);
        if (session.to_string().len()).saturating_add(item.to_string().len() + 1) > bytes {
            break;
        }
        let cart = session.get_mut("cart").and_then(Value::as_array_mut);
        cart.context("the session data has no cart")?.push(item);
    }
    let padding = bytes
        .checked_sub(session.to_string().len())
        .context("session data cannot be this small")?;
    let note: String = (0..padding).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect();
    if let Some(value) = session.get_mut("note") {
        *value = note.into();
    }
    Ok(session.to_string())
}

fn product(random: &mut SmallRng) -> Value {
    let adjective = ADJECTIVES.choose(random).copied().unwrap_or_default();
    let noun = NOUNS.choose(random).copied().unwrap_or_default();
    let id = format!("{:016x}{:016x}", random.random::<u64>(), random.random::<u64>());
    json!({
        "image": format!("/media/{}/{}.webp", id.get(..8).unwrap_or_default(), noun.replace(' ', "-")),
        "id": id,
        "name": format!("{adjective} {noun}"),
        "price": random.random_range(199..19_999),
        "quantity": random.random_range(1..4),
        "added": time(random),
    })
}

fn time(random: &mut SmallRng) -> String {
    let (hour, minute, second) =
        (random.random_range(0..24), random.random_range(0..60), random.random_range(0..60));
    format!("2026-11-24T{hour:02}:{minute:02}:{second:02}Z")
}
