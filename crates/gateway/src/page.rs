//! The web page at `/`, where browsers speak and drop files: what stands in `web/`, as it is, within the program.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::{Path, Request};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    UPGRADE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use crate::gate::{self, Api};
use crate::openai::error::ApiError;
use crate::shared::Shared;

/// A file of the page.
struct File {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
    /// Changes when the text does.
    etag: String,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// What stands at `/`.
const FRONT: &str = "index.html";

/// Nothing but what comes from here: no scripts or styles within the page, no other host. Recordings are played from the page's own memory.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src blob:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

macro_rules! files {
    ($($name:literal $kind:ident,)*) => {
        [$(($name, $kind, include_str!(concat!("../web/", $name))),)*]
    };
}

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let files = files![
        "index.html" HTML,
        "page.css" CSS,
        "icon.svg" PICTURE,
        "main.js" SCRIPT,
        "capture.js" SCRIPT,
        "downloads.js" SCRIPT,
        "files.js" SCRIPT,
        "key.js" SCRIPT,
        "live.js" SCRIPT,
        "microphone.js" SCRIPT,
        "notices.js" SCRIPT,
        "player.js" SCRIPT,
        "resampler.js" SCRIPT,
        "server.js" SCRIPT,
        "settings.js" SCRIPT,
        "texts.js" SCRIPT,
        "times.js" SCRIPT,
        "transcript.js" SCRIPT,
        "wave.js" SCRIPT,
        "words.js" SCRIPT,
    ];
    let file = |(name, kind, text): (_, _, &'static str)| File {
        name,
        kind,
        text,
        etag: etag(text),
    };
    files.map(file).into()
});

/// Half of a hash tells two versions apart.
fn etag(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let half: String = hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{half}\"")
}

/// The page in front of what else stands at `/`, which goes on getting all that asks for a WebSocket, and its files in `/web/`.
pub(crate) fn in_front_of(root: Router, shared: &Shared) -> Router {
    let noted = || from_fn_with_state((shared.clone(), Api("page")), gate::note);
    let files = Router::new().route("/web/{name}", get(file)).layer(noted());
    let front = Router::new().route("/", get(front)).layer(noted());
    let choose = move |request: Request, next: Next| {
        let front = front.clone();
        async move {
            let asks_for_page = [Method::GET, Method::HEAD].contains(request.method())
                && !request.headers().contains_key(UPGRADE);
            if !asks_for_page {
                return next.run(request).await;
            }
            use tower_service::Service;
            match front.clone().call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    };
    root.route_layer(from_fn(choose)).merge(files)
}

async fn front(headers: HeaderMap) -> Response {
    answer(FRONT, &headers)
}

async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    answer(&name, &headers)
}

fn answer(name: &str, headers: &HeaderMap) -> Response {
    let Some(file) = FILES.iter().find(|file| file.name == name) else {
        let message = "the page has no such file; it is at /";
        return ApiError::form(StatusCode::NOT_FOUND, message).into_response();
    };
    let common: [(HeaderName, &str); 6] = [
        // The program's next version has other files: asked for each time, and sent when they have changed.
        (CACHE_CONTROL, "no-cache"),
        (ETAG, &file.etag),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("permissions-policy"),
            "microphone=(self), camera=(), geolocation=()",
        ),
    ];
    let known = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let is_known = known
        .flat_map(|tags| tags.split(','))
        .any(|tag| tag.trim().trim_start_matches("W/") == file.etag);
    if is_known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(CONTENT_TYPE, file.kind)], file.text).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    #[test]
    fn all_files_are_served_and_all_that_are_named_are_there() {
        let served: BTreeSet<&str> = FILES.iter().map(|file| file.name).collect();
        let written = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/web")).unwrap();
        let written: BTreeSet<String> = written
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(
            written
                .iter()
                .map(String::as_str)
                .eq(served.iter().copied())
        );
        for file in FILES.iter() {
            for import in file.text.split("from \"./").skip(1) {
                let name = import.split('"').next().unwrap();
                assert!(served.contains(name), "{} imports {name}", file.name);
            }
            // What the policy forbids would not be seen in a test of another page.
            for forbidden in [
                "innerHTML",
                "<style",
                "style=\"",
                "onclick=",
                "http://",
                "eval(",
            ] {
                let is_namespace = forbidden == "http://" && file.kind == PICTURE;
                assert!(
                    is_namespace || !file.text.contains(forbidden),
                    "{}: {forbidden}",
                    file.name
                );
            }
        }
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let first = answer(FRONT, &HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[CONTENT_TYPE], HTML);
        assert_eq!(first.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
        let with = |tags: String| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, tags.parse().unwrap());
            answer(FRONT, &headers).status()
        };
        let tag = first.headers()[ETAG].to_str().unwrap();
        assert_eq!(with(tag.to_owned()), StatusCode::NOT_MODIFIED);
        assert_eq!(with(format!("\"old\", W/{tag}")), StatusCode::NOT_MODIFIED);
        assert_eq!(with("\"old\"".to_owned()), StatusCode::OK);
        assert_eq!(
            answer("../Cargo.toml", &HeaderMap::new()).status(),
            StatusCode::NOT_FOUND
        );
    }
}
