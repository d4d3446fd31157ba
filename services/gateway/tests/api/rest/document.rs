//! The document is what the routes say, and its copy in the repository is the same.

use crate::world::World;

const COPY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

/// Fails when the copy is stale; `SWITCHYARD_WRITE_OPENAPI=1` writes it anew.
#[tokio::test]
async fn the_committed_copy_is_not_stale() {
    let world = World::new().await;
    let served = world.anybody().get("/openapi.json").await;
    assert_eq!((served.status, served.header("content-type")), (200, "application/json"));
    if std::env::var_os("SWITCHYARD_WRITE_OPENAPI").is_some() {
        std::fs::write(COPY, &served.bytes).unwrap();
    }
    let copy = std::fs::read(COPY).unwrap();
    let is_fresh = copy == served.bytes;
    assert!(is_fresh, "stale; run this test with SWITCHYARD_WRITE_OPENAPI=1 and commit the copy");
}

#[tokio::test]
async fn every_operation_is_named_described_and_answers_its_errors_in_one_shape() {
    let world = World::new().await;
    let document = world.anybody().get("/openapi.json").await.body;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut names = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        assert!(path.starts_with("/v1/"), "{path}");
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} twice");
            assert!(operation["summary"].as_str().is_some_and(|it| !it.is_empty()), "{name}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{name}");
            for (status, name) in [
                ("400", "Error"),
                ("401", "Error"),
                ("403", "Error"),
                ("404", "Error"),
                ("429", "Unavailable"),
                ("503", "Unavailable"),
            ] {
                let reference = responses[status]["$ref"].as_str().unwrap();
                assert_eq!(reference, format!("#/components/responses/{name}"), "{method} {path}");
            }
        }
    }
    let headers = &document["components"]["responses"]["Unavailable"]["headers"];
    for header in ["retry-after", "x-retry-after-ms"] {
        assert_eq!(headers[header]["schema"]["type"], "integer", "{header}");
    }
}

#[tokio::test]
async fn the_page_is_whole_without_anything_from_elsewhere() {
    let world = World::new().await;
    let rest = world.anybody();
    for (path, content_type) in [
        ("/docs/", "text/html"),
        ("/docs/swagger-ui-bundle.js", "javascript"),
        ("/docs/swagger-ui.css", "text/css"),
    ] {
        let request = rest.request(axum::http::Method::GET, path).body(axum::body::Body::empty());
        let page = rest.open(request.unwrap()).await;
        assert_eq!(page.status(), 200, "{path}");
        assert!(page.headers()["content-type"].to_str().unwrap().contains(content_type));
    }
}
