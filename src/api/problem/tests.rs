use super::*;

#[test]
fn retry_after_is_rounded_up_to_whole_seconds() {
    let now = Timestamp::from_seconds(1_000);
    for (left, expected) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2"), (59_999, "60")] {
        let until = Timestamp::from_millis(now.millis() + left);
        let response = Problem::SessionLocked { until }.respond(now, None);
        assert_eq!(response.http.headers()[RETRY_AFTER], expected, "{left} ms");
    }
}
