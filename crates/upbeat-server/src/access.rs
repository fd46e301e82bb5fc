//! Who may talk to the server.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::Config;
use crate::http::Failure;
use crate::message::Problem;

/// What is asked of each request.
#[derive(Debug)]
pub(crate) struct Access {
    token: Option<String>,
    origins: Vec<String>,
    /// The address that the server listens on, whose name may stand in `Host`.
    address: IpAddr,
}

impl Access {
    pub(crate) fn new(config: &Config) -> Self {
        let (token, origins) = (config.token.clone(), config.origins.clone());
        Self { token, origins, address: config.address.ip() }
    }

    /// Whether a request may pass.
    ///
    /// A page of another site must not use the server through its visitor's browser. Browsers say where a page
    /// comes from (`Origin`); where it is the server's own, `Host` is the same. A page whose name was made to
    /// point here (DNS rebinding) has that name in both, which is why without a token, `Host` must be an
    /// address, a name of this machine, or an allowed origin's.
    fn check(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), (StatusCode, Problem)> {
        let forbidden =
            |code, message: &str| Err((StatusCode::FORBIDDEN, Problem::new(code, message)));
        let host = match headers.get(header::HOST) {
            Some(host) => host.to_str().unwrap_or_default(),
            None => uri.authority().map_or("", |authority| authority.as_str()),
        };
        if self.token.is_none() && !self.is_known(host) {
            return forbidden(
                "wrong_host",
                "without a token, the server answers to localhost only; allow this site with --origin",
            );
        }
        if let Some(origin) = headers.get(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or_default();
            let own = origin.split_once("://").is_some_and(|(_, authority)| authority == host);
            if !own && !self.origins.iter().any(|allowed| allowed == origin) {
                return forbidden(
                    "wrong_origin",
                    "pages of this site may not connect; allow it with --origin",
                );
            }
        }
        let needs_token = uri.path().starts_with("/api/v1/") || uri.path() == "/metrics";
        let open = !needs_token || uri.path() == "/api/v1/stream/health";
        match &self.token {
            Some(token) if !open && !given(headers, uri).any(|given| same(given, token)) => {
                let message = "give the server's token as 'Authorization: Bearer …' or ?token=…";
                Err((StatusCode::UNAUTHORIZED, Problem::new("unauthorized", message)))
            }
            _ => Ok(()),
        }
    }

    fn is_known(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let address =
            name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let allowed =
            |origin: &String| origin.split_once("://").is_some_and(|(_, own)| own == host);
        name.eq_ignore_ascii_case("localhost")
            || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback() || ip == self.address)
            || self.origins.iter().any(allowed)
    }
}

/// All tokens that a request brings.
fn given<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> impl Iterator<Item = &'a str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
    let query = uri.query().unwrap_or_default().split('&');
    bearer.into_iter().chain(query.filter_map(|pair| pair.strip_prefix("token=")))
}

/// Whether two secrets are the same, in a time that depends on their lengths only.
pub(crate) fn same(a: &str, b: &str) -> bool {
    let differences = a.bytes().zip(b.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && std::hint::black_box(differences) == 0
}

pub(crate) async fn guard(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    match access.check(request.headers(), request.uri()) {
        Ok(()) => next.run(request).await,
        Err((status, problem)) => Failure { status, problem }.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(config: &Config, path: &str, headers: &[(&'static str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a header"));
        }
        let result = Access::new(config).check(&map, &path.parse().expect("a path"));
        result.map_or_else(|(status, _)| status.as_u16(), |()| 200)
    }

    #[test]
    fn pages_of_other_sites_and_rebound_names_are_kept_out() {
        let config = Config { origins: vec!["https://music.example".into()], ..Config::default() };
        let path = "/api/v1/stream/list";
        for (expected, host, origin) in [
            (200, "localhost:8000", None),
            (200, "127.0.0.1", None),
            (200, "[::1]:8000", None),
            (200, "LOCALHOST:8000", None),
            (200, "music.example", Some("https://music.example")),
            (200, "localhost:8000", Some("http://localhost:8000")),
            (200, "localhost:8000", Some("https://music.example")),
            (403, "localhost:8000", Some("http://localhost:3000")),
            (403, "localhost:8000", Some("https://evil.example")),
            (403, "localhost:8000", Some("null")),
            (403, "evil.example:8000", Some("http://evil.example:8000")),
            (403, "evil.example", None),
            (403, "localhost.evil.example", None),
            (403, "", None),
        ] {
            let mut headers = vec![("host", host)];
            headers.extend(origin.map(|origin| ("origin", origin)));
            assert_eq!(status(&config, path, &headers), expected, "{host} {origin:?}");
        }
    }

    #[test]
    fn a_token_is_asked_for_where_there_is_one() {
        let token = Some("0123456789abcdef".to_owned());
        let config =
            Config { token, address: "0.0.0.0:8000".parse().unwrap(), ..Config::default() };
        let host = ("host", "audio.example");
        let list = "/api/v1/stream/list";
        assert_eq!(status(&config, list, &[host]), 401);
        assert_eq!(status(&config, "/metrics", &[host]), 401);
        assert_eq!(status(&config, "/", &[host]), 200);
        assert_eq!(status(&config, "/api/v1/stream/health", &[host]), 200);
        for (expected, given) in [
            (200, "Bearer 0123456789abcdef"),
            (401, "Bearer 0123456789abcdeg"),
            (401, "Bearer 0123456789abcde"),
            (401, "Basic 0123456789abcdef"),
            (401, "Bearer "),
        ] {
            assert_eq!(
                status(&config, list, &[host, ("authorization", given)]),
                expected,
                "{given}"
            );
        }
        assert_eq!(status(&config, &format!("{list}?a=b&token=0123456789abcdef"), &[host]), 200);
        assert_eq!(status(&config, &format!("{list}?token=0123456789abcdefg"), &[host]), 401);
        let evil = ("origin", "https://evil.example");
        assert_eq!(status(&config, &format!("{list}?token=0123456789abcdef"), &[host, evil]), 403);
    }
}
