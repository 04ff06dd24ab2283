//! Any bytes come back exactly, or nothing is written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::harness::{App, CREATE, CREATE_WITH_ID, PATCH, READ, REPLACE, ROTATE};

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
async fn bytes_come_back_exactly() {
    let app = App::new().await;
    let all: Vec<u8> = (0..=255).collect();
    let mut mib = text(MIB);
    mib[MIB - 1] = b'.'; // so that it does not end inside of a character
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

        let id = app.session().await;
        assert_eq!(app.send(REPLACE).id(&id).body(data).await.status, 204);
        assert!(app.send(READ).id(&id).await.body == data, "replaced with {} bytes", data.len());
    }
}

#[tokio::test]
async fn it_does_not_matter_how_the_gateway_encoded_the_body() {
    let app = App::new().await;
    let encoded = app.send(CREATE_WITH_ID).event(|event| {
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
async fn text_that_was_changed_on_the_way_is_refused() {
    let app = App::new().await;
    let id = app.session().await;
    let before = app.items().await;
    app.take_calls();
    for (length, body) in [
        // Latin-1, which is not UTF-8: the last byte of four became U+FFFD.
        ("4", Some("caf\u{fffd}")),
        ("1", Some("\u{fffd}")),
        // Characters are not bytes.
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
            let request = app.send(event).id(&id).event(|event| {
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
async fn text_is_taken_if_its_length_is_right_or_unknown() {
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
        let created = app.send(CREATE).event(|event| {
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
async fn text_stays_readable_and_the_rest_goes_base64() {
    let app = App::new().await;
    for (data, is_text) in [
        (b"".as_slice(), true),
        ("{\"straße\":\t\"1\"}\r\n".as_bytes(), true),
        (b"\xff", false),
        // Six bytes each in JSON: 1 MiB of these would not fit into Lambda's answer.
        (b"O:1:\"A\":1:{s:4:\"\0*\0b\";i:1;}", false),
    ] {
        let created = app.send(CREATE).body(data).await;
        let read = app.send(READ).id(created.header("Session-Id")).await;
        assert_eq!(read.is_text, is_text, "{data:?}");
        assert_eq!(read.body, data);
    }
}

#[tokio::test]
async fn any_media_type_comes_back_letter_for_letter() {
    let app = App::new().await;
    let id = app.session().await;
    let longest = format!("application/x;p={}", "x".repeat(255 - 16));
    for media_type in ["text/html; charset=\"UTF-8\"", "Application/JSON", "a/b;c", &longest] {
        let put = app.send(REPLACE).id(&id).header("content-type", media_type).await;
        assert_eq!(put.status, 204);
        assert_eq!(app.send(READ).id(&id).await.header("Content-Type"), media_type);
    }
}

#[tokio::test]
async fn too_much_is_refused_before_anything_is_written() {
    let app = App::new().await;
    let id = app.session().await;
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
async fn a_full_item_with_every_attribute_at_its_largest_fits() {
    let app =
        App::with(|limits| limits.max_lifetime = Some(std::time::Duration::from_secs(315_360_000)))
            .await;
    let data = random(390_000 - 30);
    let full = app
        .send(CREATE)
        .header("session-user", &"u".repeat(256))
        .header("content-type", &format!("application/x;p={}", "x".repeat(255 - 16)))
        .header("session-ttl", "2592000")
        .body(&data)
        .await;
    assert_eq!(full.status, 201);
    assert!(app.send(READ).id(full.header("Session-Id")).await.body == data);
}
