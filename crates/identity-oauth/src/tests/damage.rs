//! Answers and claims that were damaged at random: no panic, short messages, and claims that say what they said.

use identity_core::{Clock as _, check, fakes::FakeClock, http::Response, retry::Answer};
use serde_json::{Value, json};

use crate::{
    claims,
    grant::Granted,
    outcome::{self, Circumstances},
};

/// A xorshift generator: the same damage in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    /// Changes, removes, doubles or moves a few bytes.
    fn damage(&mut self, text: &str) -> Vec<u8> {
        const FAVOURITES: &[u8] = b"{}[]\",:\\u0e-. \n\x00\xff";
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..=self.roll(4) {
            let at = self.roll(bytes.len());
            match self.roll(5) {
                0 => bytes[at] = FAVOURITES[self.roll(FAVOURITES.len())],
                1 => bytes.insert(at, FAVOURITES[self.roll(FAVOURITES.len())]),
                2 => drop(bytes.remove(at)),
                3 => bytes.truncate(at.max(1)),
                _ => {
                    let end = (at + self.roll(20)).min(bytes.len());
                    let part = bytes[at..end].to_vec();
                    bytes.splice(at..at, part);
                }
            }
            if bytes.is_empty() {
                bytes.push(b'{');
            }
        }
        bytes
    }
}

#[test]
fn no_damaged_answer_is_more_than_an_error() {
    let texts = [
        json!({"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "refresh_in": "1800", "access_token": "CANARY.CANARY.CANARY", "scope": "a b"}),
        json!({"error": "invalid_client", "error_description": "AADSTS7000215: \u{e4} CANARY\r\nTrace ID: 1", "error_codes": [7_000_215], "trace_id": "t", "correlation_id": "c", "claims": "{\"access_token\":{}}"}),
        json!({"error": {"code": "x", "message": "CANARY"}, "expires_on": "1e400"}),
    ];
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (now, scopes) = (FakeClock::default().now(), ["a/x".to_owned()]);
    let mut tokens = 0;
    for round in 0..60_000 {
        let body = dice.damage(&texts[round % texts.len()].to_string());
        let status = [200, 400, 401, 500][dice.roll(4)];
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let response = Response::new(status, headers, body.clone());
        let _ = outcome::verdict(&response);
        let answer = Answer { response, exhausted: false, retry_after: None, attempts: 1 };
        let circumstances = Circumstances {
            origin: "https://login.example",
            request_id: "id",
            scopes: &scopes,
            wants_all_scopes: round % 2 == 0,
            is_user: round % 3 == 0,
            hidden: vec!["CANARY"],
            assertion_expired: None,
            now,
        };
        let fetched = outcome::judge(&answer, &circumstances).and_then(|Granted { fetched, refresh_token }| {
            assert!(refresh_token.is_none_or(|token| check::is_token(token.expose())));
            fetched
        });
        match fetched {
            Ok(fetched) => {
                assert!(check::is_token(fetched.secret.expose()) && !fetched.life.is_zero());
                tokens += 1;
            }
            Err(error) => {
                let shown = format!("{error:?}");
                assert!(shown.len() < 8 * 1024 && !shown.contains("CANARY"), "{shown}");
            }
        }
    }
    assert!((100..30_000).contains(&tokens), "{tokens}: the damage is too great, or none");
}

#[test]
fn merged_claims_say_what_the_caller_said_and_the_capability() {
    let text = r#"{"access_token":{"nbf":{"essential":true,"value":"1,}\" \u00e4"},"xms_cc":{"values":["x"]}},"id_token":{"a":[1,{"b":null}]}}"#;
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut valid = 0;
    for _ in 0..60_000 {
        let Ok(claims) = String::from_utf8(dice.damage(text)) else { continue };
        if check::claims(&claims).is_err() {
            continue;
        }
        // The last of two members of one name counts, for both readers.
        let Ok(mut expected) = serde_json::from_str::<Value>(&claims) else { panic!("{claims}") };
        valid += 1;
        let inner =
            expected.get("access_token").filter(|inner| inner.is_object()).cloned().unwrap_or_else(|| json!({}));
        expected["access_token"] = inner;
        expected["access_token"]["xms_cc"] = json!({"values": ["CP1"]});
        let merged = claims::merge(Some(&claims), true).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&merged).unwrap(), expected, "{claims}");
    }
    assert!(valid > 1_000, "{valid}");
}
