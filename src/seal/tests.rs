use super::*;
use proptest::prelude::*;

fn id() -> SessionId {
    SessionId::parse("abcdefghijklmnopqrstuv").unwrap()
}

fn media_type(text: &str) -> MediaType {
    MediaType::parse(text).unwrap()
}

/// Returns incompressible bytes, the same in every run.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn data_is_restored_exactly() {
    let all: Vec<u8> = (0..=255).collect();
    let text = "all work and no play ".repeat(50_000);
    for data in [b"".as_slice(), b"x", &all, &text.as_bytes()[..MAX_DATA], &noise(300_000)] {
        let sealed = seal(&id(), &MediaType::default(), data).unwrap();
        assert!(sealed.len() <= MAX_SEALED);
        assert_eq!(open(&id(), &MediaType::default(), sealed).unwrap(), data);
    }
}

#[test]
fn data_is_compressed_only_if_that_makes_it_shorter() {
    let seal = |data: &[u8]| seal(&id(), &MediaType::default(), data).unwrap().len();
    assert!(seal(&[b'a'; 10_000]) < 200);
    assert_eq!(seal(&noise(10_000)), 10_000 + HEADER_LEN + 1 + TAG_LEN);
}

#[test]
fn limits_are_1_mib_as_sent_and_390_000_bytes_sealed() {
    let seal = |data: &[u8]| seal(&id(), &MediaType::default(), data).map(|s| s.len());
    let overhead = HEADER_LEN + 1 + TAG_LEN;
    assert!(seal(&vec![b'a'; MAX_DATA]).is_ok());
    assert!(matches!(seal(&vec![b'a'; MAX_DATA + 1]), Err(SealError::TooLarge)));
    assert_eq!(seal(&noise(MAX_SEALED - overhead)).unwrap(), MAX_SEALED);
    assert!(matches!(seal(&noise(MAX_SEALED - overhead + 1)), Err(SealError::TooLarge)));
    assert!(matches!(seal(&noise(MAX_DATA)), Err(SealError::TooLarge)));
}

#[test]
fn equal_data_is_sealed_differently() {
    let seal = || seal(&id(), &MediaType::default(), b"the same").unwrap();
    assert_ne!(seal(), seal());
}

#[test]
fn opens_only_for_its_own_session_and_media_type() {
    let sealed = seal(&id(), &media_type("text/plain"), b"data").unwrap();
    let other = SessionId::parse("abcdefghijklmnopqrstuw").unwrap();
    let open = |id: &SessionId, kind: &str| open(id, &media_type(kind), sealed.clone());
    assert_eq!(open(&id(), "text/plain").unwrap(), b"data");
    assert_eq!(open(&other, "text/plain"), Err(OpenError::NotAuthentic));
    assert_eq!(open(&id(), "text/html"), Err(OpenError::NotAuthentic));
}

#[test]
fn unknown_versions_are_reported() {
    let mut sealed = seal(&id(), &MediaType::default(), b"data").unwrap();
    sealed[0] = 2;
    assert_eq!(open(&id(), &MediaType::default(), sealed), Err(OpenError::UnknownVersion(2)));
}

#[test]
fn truncated_data_does_not_open() {
    let sealed = seal(&id(), &MediaType::default(), b"some data").unwrap();
    for length in 0..sealed.len() {
        let cut = sealed[..length].to_vec();
        assert!(open(&id(), &MediaType::default(), cut).is_err(), "{length}");
    }
}

proptest! {
    #[test]
    fn sealed_data_opens(data in prop::collection::vec(any::<u8>(), 0..5000)) {
        let sealed = seal(&id(), &MediaType::default(), &data).unwrap();
        prop_assert_eq!(open(&id(), &MediaType::default(), sealed).unwrap(), data);
    }

    #[test]
    fn flipped_bits_are_detected(
        data in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), bit in 0..8_u8,
    ) {
        let mut sealed = seal(&id(), &MediaType::default(), &data).unwrap();
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(open(&id(), &MediaType::default(), sealed).is_err());
    }

    #[test]
    fn arbitrary_bytes_do_not_open(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(open(&id(), &MediaType::default(), bytes).is_err());
    }
}

/// The bytes come from Python's `cryptography`, following the format in `docs/security.md`.
#[test]
fn opens_data_sealed_in_version_1_by_another_implementation() {
    let sealed = "01000102030405060708090a0b3c05b87c5cf387b9a3387066a88ce86b03797ba041d3090ebf449640163d207055de05";
    let sealed: Vec<u8> = (0..sealed.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&sealed[i..i + 2], 16).unwrap())
        .collect();
    let opened = open(&id(), &media_type("application/json"), sealed);
    assert_eq!(opened.unwrap(), br#"{"cart":["apple"]}"#);
}
