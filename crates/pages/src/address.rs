//! The address at which pages are served, and the check that a request comes from a reader of them.
//!
//! Contract: a page of another site must not read the run. Such a page can make the browser send
//! requests, which cannot be prevented. But a request is answered only if its Host is this server's
//! address or `localhost`, so a foreign name that resolves to this machine (DNS rebinding) is
//! rejected; and only if its Origin, if present, is the same. The Host may have any port, because a
//! tunnel has its own (`ssh -L 9000:localhost:8080`).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Parses an address to serve pages at: `PORT` or `ADDRESS:PORT`; a port alone means 127.0.0.1.
///
/// # Errors
/// A sentence that describes what is expected.
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
            "expected a port or ADDRESS:PORT, for example 8080, 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080".to_owned()
        }),
    }
}

/// Whether a request with this Host, for example `127.0.0.1:8080`, is meant for the server at
/// `bound`, possibly through a tunnel.
pub fn is_host(bound: SocketAddr, host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        // A colon inside brackets belongs to the address.
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
        // A server bound to all addresses of the machine is reachable at each of them.
        Ok(address) => address == bound.ip() || bound.ip().is_unspecified() || loopback(address, bound),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

/// Whether a request to this Host from this Origin, for example `http://127.0.0.1:8080`, comes from
/// a page of the same server.
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
    fn a_port_alone_means_the_local_machine() {
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
    fn only_the_names_of_this_server_are_hosts() {
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
