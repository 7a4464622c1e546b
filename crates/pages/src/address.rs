//! Where the page is served, and which requests come from a reader of it.
//!
//! Contract: a page of another site must not read the run. Such a page may make the browser ask (it
//! cannot be kept from that), but not under a name that is an address here: a request is answered
//! only if its Host is this server's address or `localhost` (no name of somebody's that points
//! here, DNS rebinding), and if its Origin, if it has one, is the same. The port of the Host may be
//! any, as that of a tunnel (`ssh -L 9000:localhost:8080`) is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// An address to serve pages at: `PORT` or `ADDRESS:PORT`; a port alone is that of 127.0.0.1.
///
/// # Errors
/// A sentence that says what is expected.
pub fn parse(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let named = text
        .strip_prefix("localhost:")
        .and_then(|port| port.parse::<u16>().ok());
    match named {
        Some(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        None => text.parse().map_err(|_| {
            "expected a port or ADDRESS:PORT, as 8080, 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080".to_owned()
        }),
    }
}

/// Whether a request with this Host, as `127.0.0.1:8080`, is meant for the server at `bound`,
/// perhaps through a tunnel.
pub fn is_host(bound: SocketAddr, host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        // A colon inside brackets is of the address.
        Some((name, port)) if !port.ends_with(']') => match port.parse::<u16>() {
            Ok(_) => name,
            Err(_) => return false,
        },
        _ => host,
    };
    let name = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    match name.parse::<IpAddr>() {
        // Bound to every address of the machine, it is reached under each of them.
        Ok(address) => address == bound.ip() || bound.ip().is_unspecified() || loopback(address, bound),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

/// Whether a request to this Host from this Origin, as `http://127.0.0.1:8080`, is from a page of
/// the same server.
pub fn is_origin(host: &str, origin: &str) -> bool {
    origin.strip_prefix("http://") == Some(host)
}

fn loopback(address: IpAddr, bound: SocketAddr) -> bool {
    address.is_loopback() && bound.ip().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_of_this_machine_only() {
        let address = |text| parse(text).unwrap().to_string();
        assert_eq!(address("8080"), "127.0.0.1:8080");
        assert_eq!(address("localhost:80"), "127.0.0.1:80");
        assert_eq!(address("[::1]:80"), "[::1]:80");
        assert_eq!(address("0.0.0.0:80"), "0.0.0.0:80");
        for wrong in [
            "",
            "example.org:80",
            "127.0.0.1",
            "70000",
            "-1",
            ":80",
            "http://127.0.0.1:80",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_own_names_are_hosts() {
        let here: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        for own in [
            "127.0.0.1:8080",
            "localhost:8080",
            "LOCALHOST:8080",
            "[::1]:8080",
            "localhost:9000",
            "127.0.0.1",
        ] {
            assert!(is_host(here, own), "{own}");
            assert!(is_origin(own, &format!("http://{own}")), "{own}");
        }
        for foreign in [
            "",
            "127.0.0.1:",
            "127.0.0.1:80808",
            "evil.example:8080",
            "127.0.0.1.evil.example:8080",
            "localhost.evil.example:8080",
            "192.168.1.7:8080",
            "127.0.0.1:8080@evil.example",
            "evil.example#127.0.0.1:8080",
        ] {
            assert!(!is_host(here, foreign), "{foreign}");
        }
        for foreign in [
            "null",
            "https://localhost:8080",
            "http://localhost:9000",
            "http://localhost",
        ] {
            assert!(!is_origin("localhost:8080", foreign), "{foreign}");
        }
        let everywhere: SocketAddr = "0.0.0.0:8080".parse().unwrap();
        assert!(is_host(everywhere, "192.168.1.7:8080") && is_host(everywhere, "localhost:8080"));
        assert!(!is_host(everywhere, "machine.example:8080"));
    }
}
