//! The correctness gate: before anything is timed, a server must answer every route as the application means it.

use std::collections::BTreeMap;

use crate::probe::{Answer, Probe};

/// What a route must answer.
struct Expected {
    path: &'static str,
    content_type: &'static str,
    body: &'static str,
}

/// The routes of `apps/flask_app.py` that scenarios use.
const ROUTES: [Expected; 3] = [
    Expected { path: "/", content_type: "text/html; charset=utf-8", body: "Hello, World!" },
    Expected {
        path: "/json",
        content_type: "application/json",
        body: "{\"name\":\"bench\",\"numbers\":[0,1,2,3,4,5,6,7,8,9]}\n",
    },
    Expected { path: "/sleep50", content_type: "text/html; charset=utf-8", body: "slept" },
];

/// Checks every route of the server at `base` (no slash at the end), and asks the application what it runs on.
///
/// # Errors
/// The first route that is answered wrongly: what was expected and what came.
pub(crate) fn pass(probe: &Probe, base: &str) -> Result<BTreeMap<String, String>, String> {
    for expected in &ROUTES {
        let answer = probe
            .get(&format!("{base}{}", expected.path))
            .map_err(|reason| format!("gate: {} failed: {reason}", expected.path))?;
        check(expected, &answer)?;
    }
    let about = probe.get(&format!("{base}/about")).map_err(|reason| format!("gate: /about failed: {reason}"))?;
    facts(&about.body)
}

fn check(expected: &Expected, answer: &Answer) -> Result<(), String> {
    let wrong = |what: &str, wanted: &str, got: &str| {
        Err(format!("gate: {} answered with {what} {got:?} instead of {wanted:?}", expected.path))
    };
    if answer.status != 200 {
        return wrong("status", "200", &answer.status.to_string());
    }
    if answer.content_type != expected.content_type {
        return wrong("content type", expected.content_type, &answer.content_type);
    }
    if answer.body != expected.body {
        return wrong("body", expected.body, &answer.body);
    }
    Ok(())
}

fn facts(body: &str) -> Result<BTreeMap<String, String>, String> {
    let facts: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(body).map_err(|error| format!("gate: /about is no JSON object: {error}"))?;
    Ok(facts
        .into_iter()
        .map(|(name, value)| match value {
            serde_json::Value::String(text) => (name, text),
            other => (name, other.to_string()),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_answer_passes() {
        let right =
            Answer { status: 200, content_type: "text/html; charset=utf-8".into(), body: "Hello, World!".into() };
        let rows = [
            (right.clone(), None),
            (Answer { status: 503, ..right.clone() }, Some("gate: / answered with status \"503\" instead of \"200\"")),
            (
                Answer { body: String::new(), ..right.clone() },
                Some("gate: / answered with body \"\" instead of \"Hello, World!\""),
            ),
            (
                Answer { content_type: "text/plain".into(), ..right },
                Some("gate: / answered with content type \"text/plain\" instead of \"text/html; charset=utf-8\""),
            ),
        ];
        for (answer, expected) in rows {
            assert_eq!(check(&ROUTES[0], &answer).err().as_deref(), expected);
        }
    }

    #[test]
    fn facts_are_texts() {
        let facts = facts(r#"{"python": "3.11.7", "multithread": true}"#).unwrap();
        assert_eq!(facts["python"], "3.11.7");
        assert_eq!(facts["multithread"], "true");
        assert!(super::facts("[]").is_err());
    }
}
