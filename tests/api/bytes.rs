//! Request and response bodies: stored bytes are returned unchanged, and invalid bodies store nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::harness::{
    App, CREATE, CREATE_WITH_ID, LOCK, PATCH, READ, REPLACE, ROTATE, TOUCH, UNLOCK,
};

const MIB: usize = 1024 * 1024;

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SystemRandom::new().fill(&mut bytes).unwrap();
    bytes
}

fn text(length: usize) -> Vec<u8> {
    "Wer mit Ungeheuern kämpft, mag zusehn. ".bytes().cycle().take(length).collect()
}

#[tokio::test]
async fn data_is_returned_byte_for_byte() {
    let app = App::new().await;
    let all: Vec<u8> = (0..=255).collect();
    let mut mib = text(MIB);
    mib[MIB - 1] = b'.'; // Or else it would end in the middle of a character.
    let fixed: [&[u8]; 8] = [
        b"",
        b"x",
        b"\0",
        &all,
        &mib,
        b"\x01\x02\x03",
        "\u{10ffff}é\r\n\t\"\\".as_bytes(),
        &[b'"'; 1000],
    ];
    let random = random(300_000);
    for data in fixed.into_iter().chain([random.as_slice()]) {
        let created = app.send(CREATE).body(data).await;
        assert_eq!(created.status, 201);
        let id = created.header("Session-Id");
        assert!(app.send(READ).id(id).await.body == data, "created with {} bytes", data.len());

        let id = app.create_session().await;
        assert_eq!(app.send(REPLACE).id(&id).body(data).await.status, 204);
        assert!(app.send(READ).id(&id).await.body == data, "replaced with {} bytes", data.len());
    }
}

#[tokio::test]
async fn base64_bodies_may_contain_text() {
    let app = App::new().await;
    let encoded = app.send(CREATE_WITH_ID).edit_event(|event| {
        event["isBase64Encoded"] = true.into();
        event["body"] = STANDARD.encode("plain text").into();
        event["headers"]["content-length"] = "10".into();
    });
    assert_eq!(encoded.await.status, 201);
    let read = app.send(READ).await;
    assert_eq!(read.body, b"plain text");
    assert!(read.is_text);
}

#[tokio::test]
async fn text_bodies_altered_without_a_change_in_length_are_rejected_if_their_hash_was_signed() {
    let app = App::new().await;
    let id = app.create_session().await;
    // An emoji cut off after three of its four bytes: a decoder replaces them with U+FFFD, which is three bytes long
    // too.
    let (sent, arrived) = (&b"\xf0\x9f\x98"[..], "\u{fffd}");
    let hash = digest(&SHA256, sent);
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    for (signed, outcome) in [(hash.as_str(), "400 invalid-body"), ("UNSIGNED-PAYLOAD", "204")] {
        let put = app.send(REPLACE).id(&id).body(arrived.as_bytes());
        let put = put.header("content-length", "3").header("x-amz-content-sha256", signed);
        assert_eq!(put.await.outcome(), outcome, "{signed}");
    }
    let unaltered = app.send(REPLACE).id(&id).body(b"abc");
    // printf abc | sha256sum
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(unaltered.header("x-amz-content-sha256", hash).await.status, 204);
}

#[tokio::test]
async fn altered_text_bodies_are_rejected() {
    let app = App::new().await;
    let id = app.create_session().await;
    let before = app.items().await;
    app.take_calls();
    for (length, body) in [
        // Latin-1 isn't UTF-8: the last of four bytes was replaced with U+FFFD.
        ("4", Some("caf\u{fffd}")),
        ("1", Some("\u{fffd}")),
        // The length counts bytes, not characters.
        ("3", Some("ä€🦀")),
        ("8", Some("ä€🦀")),
        ("10", Some("ä€🦀")),
        ("0", Some("x")),
        ("1", Some("")),
        ("1", None),
        ("", Some("x")),
        ("-1", Some("x")),
        ("1, 1", Some("x")),
        ("99999999999999999999", Some("x")),
    ] {
        for event in [CREATE, CREATE_WITH_ID, REPLACE, PATCH, ROTATE] {
            let request = app.send(event).id(&id).edit_event(|event| {
                event["body"] = body.into();
                event["headers"]["content-length"] = length.into();
            });
            assert_eq!(request.await.outcome(), "400 invalid-body", "{length}: {body:?}");
        }
    }
    assert!(app.take_calls().is_empty());
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn text_bodies_of_matching_or_unknown_length_are_accepted() {
    let app = App::new().await;
    for (length, body) in [
        (Some("9"), Some("ä€🦀")),
        (None, Some("ä€🦀")),
        (Some("3"), Some("\u{fffd}")),
        (None, Some("\u{fffd}")),
        (Some("0"), Some("")),
        (Some("0"), None),
        (None, None),
    ] {
        let created = app.send(CREATE).edit_event(|event| {
            event["body"] = body.into();
            event["headers"]["content-length"] = length.into();
            event["headers"].as_object_mut().unwrap().retain(|_, value| !value.is_null());
        });
        let created = created.await;
        assert_eq!(created.status, 201, "{length:?}: {body:?}");
        let read = app.send(READ).id(created.header("Session-Id")).await;
        assert_eq!(read.body, body.unwrap_or_default().as_bytes());
    }
}

#[tokio::test]
async fn payloads_carry_text_as_text_and_other_bytes_as_base64() {
    let app = App::new().await;
    for (data, is_text) in [
        (b"".as_slice(), true),
        ("{\"straße\":\t\"1\"}\r\n".as_bytes(), true),
        (b"\xff", false),
        // JSON spends six bytes on each control character: 1 MiB of them wouldn't fit into a response.
        (b"O:1:\"A\":1:{s:4:\"\0*\0b\";i:1;}", false),
    ] {
        let created = app.send(CREATE).body(data).await;
        let read = app.send(READ).id(created.header("Session-Id")).await;
        assert_eq!(read.is_text, is_text, "{data:?}");
        assert_eq!(read.body, data);
    }
}

#[tokio::test]
async fn media_types_are_returned_unchanged() {
    let app = App::new().await;
    let id = app.create_session().await;
    let longest = format!("application/x;p={}", "x".repeat(255 - 16));
    for media_type in ["text/html; charset=\"UTF-8\"", "Application/JSON", "a/b;c", &longest] {
        let put = app.send(REPLACE).id(&id).header("content-type", media_type).await;
        assert_eq!(put.status, 204);
        assert_eq!(app.send(READ).id(&id).await.header("Content-Type"), media_type);
    }
}

#[tokio::test]
async fn oversized_data_is_rejected_before_any_write() {
    let app = App::new().await;
    let id = app.create_session().await;
    let before = app.send(READ).id(&id).await;
    for data in [text(MIB + 1), vec![0; MIB + 1], random(MIB), random(390_000)] {
        for event in [CREATE, CREATE_WITH_ID] {
            assert_eq!(app.send(event).body(&data).await.outcome(), "413 data-too-large");
        }
        app.take_calls();
        let put = app.send(REPLACE).id(&id).body(&data).await;
        assert_eq!(put.outcome(), "413 data-too-large");
        assert!(app.take_calls().is_empty());
    }
    assert_eq!(app.send(READ).id(&id).await, before);
    assert_eq!(app.items().await.len(), 1);
}

#[tokio::test]
async fn item_with_all_attributes_at_maximum_size_is_accepted() {
    let app = App::with_max_lifetime(315_360_000).await;
    let data = random(390_000 - 30);
    let full = app
        .send(CREATE)
        .header("session-user", &"u".repeat(256))
        .header("content-type", &format!("application/x;p={}", "x".repeat(255 - 16)))
        .header("session-ttl", "34560000")
        .header("session-label", &"l".repeat(256))
        .body(&data)
        .await;
    assert_eq!(full.status, 201);
    // Adds four write ids, a lock, a predecessor, and, in the grace period, a successor.
    let mut id = full.header("Session-Id").to_owned();
    for _ in 0..2 {
        for event in [TOUCH, TOUCH] {
            assert_eq!(app.send(event).id(&id).await.status, 204);
        }
        let locked = app.send(LOCK).id(&id).await;
        let token = locked.header("Session-Lock");
        let rotate = app.send(ROTATE).id(&id).header("session-grace", "300");
        let rotated = rotate.header("session-lock", token).await;
        assert_eq!(rotated.status, 200);
        id = rotated.header("Session-Id").to_owned();
        assert_eq!(app.send(UNLOCK).id(&id).header("session-unlock", token).await.status, 204);
    }
    assert!(app.send(READ).id(&id).await.body == data);
}
