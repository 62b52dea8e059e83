//! Who sends a request, and for which model: the parties among which the server's places, threads and queue are shared.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::models::ServedModel;

/// The address of a client. Of an IPv6 address it is the network of 64 bits, all of which one client usually has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Client(IpAddr);

impl Client {
    const UNKNOWN: Self = Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

    pub(crate) fn of(address: SocketAddr) -> Self {
        Self(match address.ip().to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() >> 64 << 64;
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            address => address,
        })
    }

    /// The party of this client's requests for a model.
    pub(crate) fn asks(self, model: &ServedModel) -> Party {
        Party { model: model.name.clone(), client: self }
    }

    #[cfg(test)]
    pub(crate) fn numbered(number: u8) -> Self {
        Self(IpAddr::from([10, 0, 0, number]))
    }
}

/// Whoever accepts a connection adds its client to each request.
impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self::UNKNOWN))
    }
}

/// The requests of one client for one model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Party {
    pub(crate) model: String,
    pub(crate) client: Client,
}

impl Party {
    /// The party of the watchdog's questions. Its turn does not depend on others, because no model has an empty name.
    pub(crate) fn watchdog() -> Self {
        Self { model: String::new(), client: Client::UNKNOWN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let of = |address: &str| Client::of(address.parse().unwrap());
        assert_eq!(of("127.0.0.1:1"), of("127.0.0.1:2"));
        assert_eq!(of("[::ffff:10.0.0.1]:1"), of("10.0.0.1:1"));
        assert_eq!(of("[2001:db8:0:1::1]:1"), of("[2001:db8:0:1:ffff::]:1"));
        assert_ne!(of("[2001:db8:0:1::1]:1"), of("[2001:db8:0:2::1]:1"));
        assert_ne!(of("10.0.0.1:1"), of("10.0.0.2:1"));
    }
}
