//! The examples in the document run: each, with ids and an invoice that exist, has the success that the
//! document tells of.

use axum::http::Method;
use serde_json::{Value, json};

use crate::world::{World, invoice, payment};

/// The examples of an operation's body, by name.
fn examples(operation: &Value) -> Vec<(String, Value)> {
    let content = &operation["requestBody"]["content"]["application/json"];
    let named = content["examples"].as_object().into_iter().flatten();
    let named = named.map(|(name, example)| (name.clone(), example["value"].clone()));
    let only = content.get("example").map(|example| (String::new(), example.clone()));
    named.chain(only).collect()
}

/// Puts what exists here in the place of what the reader puts in theirs.
fn fill(value: &mut Value, existing: &[(&str, String)]) {
    let Some(fields) = value.as_object_mut() else { return };
    for (name, field) in fields {
        match existing.iter().find(|(known, _)| known == name) {
            Some((_, found)) => *field = json!(found),
            None => fill(field, existing),
        }
    }
}

#[tokio::test]
async fn every_example_in_the_document_runs() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let document = world.anybody().get("/openapi.json").await.body;
    let sent = world.book.send_body(payment(1), &invoice(200, Some(20_000)));
    assert_eq!(rest.post(&world.book.of_env("/payments"), &sent).await.status, 202);
    let mut ran = 0_u8;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in [Method::POST, Method::PATCH] {
            let operation = &item[method.as_str().to_lowercase()];
            let Some(name) = operation["operationId"].as_str() else { continue };
            let given = examples(operation);
            assert!(!given.is_empty(), "{name} has no example");
            for (which, mut body) in given {
                ran += 1;
                let existing = [
                    ("id", payment(u128::from(0x100 + u16::from(ran))).to_string()),
                    ("wallet_id", world.book.wallet.to_string()),
                    ("environment_id", world.book.environment.to_string()),
                    ("line_of_credit_id", world.book.line.clone()),
                    ("payment_request", invoice(ran, Some(20_000))),
                ];
                fill(&mut body, &existing);
                let path = path
                    .replace("{organization_id}", &world.book.org.to_string())
                    .replace("{environment_id}", &world.book.environment.to_string())
                    .replace("{wallet_id}", &world.book.wallet.to_string())
                    .replace("{line_id}", &world.book.line)
                    .replace("{payment_id}", &payment(1).to_string());
                let request = rest.request(method.clone(), &path);
                let request = request.header("content-type", "application/json");
                let answer = rest.ask(request.body(body.to_string().into()).unwrap()).await;
                let status = answer.status.to_string();
                let documented = operation["responses"].as_object().unwrap().contains_key(&status);
                let is_well = status.starts_with('2') && documented;
                assert!(is_well, "{name} {which}: {status} {}", answer.body);
            }
        }
    }
    assert!(ran >= 10, "only {ran} examples");
}
