//! Requests that pages of other sites make a browser send: refused, unless their origin is allowed.
//!
//! A page on the web can address a server on its reader's machine. The browser names the page's site in `Origin` and
//! `Sec-Fetch-Site`. If the page's own domain name resolves to this machine (DNS rebinding), only `Host` shows it.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// The headers of an answer to the question that browsers ask before a request of another site (a CORS preflight).
const PREFLIGHT: [(HeaderName, HeaderValue); 3] = [
    (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST")),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, content-type, inference-header-content-length, x-request-id"),
    ),
    (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600")),
];

/// The origin of pages that may use the server from a browser, such as `https://example.com`, or `*` for any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedOrigin(HeaderValue);

/// A text that is no origin.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0:?} is not an origin, such as https://example.com or http://localhost:3000, nor *")]
pub struct InvalidOrigin(String);

impl FromStr for AllowedOrigin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let invalid = || InvalidOrigin(text.to_owned());
        let origin = text.to_ascii_lowercase();
        let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        let is_authority = |part: &str| !part.is_empty() && !part.contains(['/', '?', '#', '@', '*', ' ']);
        if origin != "*" && !authority.is_some_and(is_authority) {
            return Err(invalid());
        }
        origin.parse().map(Self).map_err(|_| invalid())
    }
}

impl AllowedOrigin {
    fn is_any(&self) -> bool {
        self.0 == "*"
    }
}

/// Which origins may use the server.
#[derive(Debug)]
pub(crate) struct OriginPolicy {
    allowed: Vec<AllowedOrigin>,
    /// Whether the server can only be reached from its own machine, so that it can only have local names.
    is_loopback: bool,
}

impl OriginPolicy {
    pub(crate) fn new(allowed: Vec<AllowedOrigin>, address: SocketAddr) -> Self {
        Self { allowed, is_loopback: address.ip().is_loopback() }
    }

    /// The allowed origin of a request, if it has one: the value that [`allow`] takes.
    pub(crate) fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        self.allowed.iter().any(|allowed| allowed.is_any() || allowed.0 == *origin).then(|| origin.clone())
    }

    /// Refuses a request of a page of another site, of which `allowed_origin` is the allowed origin, if it has one.
    pub(crate) fn check(&self, request: &Request, allowed_origin: Option<&HeaderValue>) -> Result<(), Problem> {
        let headers = request.headers();
        if allowed_origin.is_some() || self.allowed.iter().any(AllowedOrigin::is_any) {
            return Ok(());
        }
        let host = match request.uri().authority() {
            Some(authority) => Some(authority.as_str()),
            None => headers.get(header::HOST).and_then(|host| host.to_str().ok()),
        };
        if let Some(host) = host
            && self.is_loopback
            && !is_local(host)
            && !self.allowed.iter().any(|allowed| authority_of(&allowed.0) == Some(host))
        {
            return Err(Problem::forbidden(format!(
                "this server only answers to local names such as localhost and 127.0.0.1, not to {host:?}: if a proxy passes \
                 that name on, start it with --allow-origin https://{host}"
            )));
        }
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        if let Some(origin) = headers.get(header::ORIGIN) {
            return match (authority_of(origin), host) {
                (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host) => Ok(()),
                _ => Err(other_site(&String::from_utf8_lossy(origin.as_bytes()))),
            };
        }
        // A link on another site may lead here.
        let navigates = request.method() == Method::GET && text(SEC_FETCH_MODE) == Some("navigate");
        match text(SEC_FETCH_SITE) {
            Some("cross-site" | "same-site") if !navigates => Err(other_site("another site")),
            _ => Ok(()),
        }
    }
}

/// The answer to a preflight, which carries no token. Only that of an allowed origin is answered.
pub(crate) fn preflight(request: &Request) -> Option<Response> {
    let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    (request.method() == Method::OPTIONS && asks).then(|| {
        let mut response = StatusCode::NO_CONTENT.into_response();
        response.headers_mut().extend(PREFLIGHT);
        response
    })
}

/// Lets the pages of an origin read a response.
pub(crate) fn allow(response: &mut Response, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}

fn other_site(origin: &str) -> Problem {
    Problem::forbidden(format!(
        "this request comes from a page of {origin}: only the server's own page may send requests without a token; \
         --allow-origin allows other origins"
    ))
}

/// The host and port of an origin; `None` for the opaque origin `null`.
fn authority_of(origin: &HeaderValue) -> Option<&str> {
    Some(origin.to_str().ok()?.split_once("://")?.1)
}

/// Whether a `Host` names the machine itself: `localhost`, a name below it, or a loopback address.
fn is_local(host: &str) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let name = bracketed.map_or_else(|| host.split(':').next().unwrap_or_default(), |(address, _)| address);
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn policy(allowed: &[&str], address: &str) -> OriginPolicy {
        let allowed = allowed.iter().map(|origin| origin.parse().unwrap()).collect();
        OriginPolicy::new(allowed, address.parse().unwrap())
    }

    fn request(method: Method, headers: &[(&'static str, &str)]) -> Request {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        request
    }

    fn checked(policy: &OriginPolicy, request: &Request) -> Result<(), Problem> {
        policy.check(request, policy.allowed_origin(request.headers()).as_ref())
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let (local, remote) = (policy(&[], "127.0.0.1:80"), policy(&[], "10.0.0.1:80"));
        let own = [("host", "localhost:80"), ("origin", "http://localhost:80"), ("sec-fetch-site", "same-origin")];
        let rebound = [("host", "evil.example:80"), ("sec-fetch-site", "same-origin")];
        let link = [("host", "[::1]:80"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
        for (headers, [from_local, from_remote]) in [
            (&[][..], [true, true]),
            (&[("host", "127.0.0.1:80")][..], [true, true]),
            (&own[..], [true, true]),
            (&rebound[..], [false, true]),
            (&link[..], [true, true]),
            (&[("host", "a.localhost"), ("sec-fetch-site", "none")][..], [true, true]),
            (&[("host", "localhost"), ("sec-fetch-site", "cross-site")][..], [false, false]),
            (&[("host", "localhost"), ("sec-fetch-site", "same-site")][..], [false, false]),
            (&[("host", "localhost"), ("origin", "https://evil.example")][..], [false, false]),
            (&[("host", "localhost"), ("origin", "http://localhost:3000")][..], [false, false]),
            (&[("host", "localhost"), ("origin", "null")][..], [false, false]),
        ] {
            assert_eq!(checked(&local, &request(Method::GET, headers)).is_ok(), from_local, "{headers:?}");
            assert_eq!(checked(&remote, &request(Method::GET, headers)).is_ok(), from_remote, "{headers:?}");
        }
        assert!(checked(&local, &request(Method::POST, &link)).is_err(), "a form of another site");
    }

    #[test]
    fn allowed_origins_may_send_and_read() {
        let page =
            [("host", "models.example"), ("origin", "https://models.example"), ("sec-fetch-site", "same-origin")];
        let other = [("host", "localhost"), ("origin", "https://models.example"), ("sec-fetch-site", "cross-site")];
        for allowed in ["https://models.example", "*"] {
            let policy = policy(&[allowed], "127.0.0.1:80");
            for headers in [&page, &other] {
                assert!(checked(&policy, &request(Method::POST, headers)).is_ok(), "{allowed} {headers:?}");
            }
            assert!(policy.allowed_origin(request(Method::GET, &other).headers()).is_some());
            let asked = request(Method::OPTIONS, &[&other[..], &[("access-control-request-method", "POST")]].concat());
            let mut answer = preflight(&asked).unwrap();
            allow(&mut answer, policy.allowed_origin(asked.headers()).unwrap());
            assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://models.example");
            assert!(preflight(&request(Method::OPTIONS, &other)).is_none());
        }
        // The name of the allowed page is also one of the server, behind a proxy.
        let proxied = policy(&["https://models.example"], "127.0.0.1:80");
        assert!(checked(&proxied, &request(Method::GET, &[("host", "models.example")])).is_ok());
        assert!(checked(&proxied, &request(Method::GET, &[("host", "other.example")])).is_err());
    }

    #[test]
    fn only_origins_are_allowed() {
        for right in ["*", "https://example.com", "http://localhost:3000", "HTTPS://Example.com"] {
            assert!(right.parse::<AllowedOrigin>().is_ok(), "{right}");
        }
        for wrong in ["", "example.com", "https://", "https://example.com/", "https://*.example.com", "null"] {
            assert!(wrong.parse::<AllowedOrigin>().is_err(), "{wrong}");
        }
    }
}
