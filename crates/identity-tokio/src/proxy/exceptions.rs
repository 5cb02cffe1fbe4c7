//! The hosts that are reached without a proxy, as curl reads the list.

use std::net::{IpAddr, Ipv6Addr};

/// Whether a list, separated by commas or blanks, has this host: a name or one above it, an address, or a network.
///
/// The list `*`, and only that, has every host. Ports are not told apart: an entry with one is never met.
pub(crate) fn matches(list: &str, host: &str) -> bool {
    if list == "*" {
        return true;
    }
    let entries = || list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
    match host.parse::<IpAddr>() {
        Ok(ip) => entries().any(|entry| has_address(entry, ip)),
        // A last dot says that a name is whole, which ours are anyway.
        Err(_) => {
            let host = host.strip_suffix('.').unwrap_or(host);
            match host.parse::<IpAddr>() {
                Ok(_) => entries().any(|entry| entry.strip_suffix('.').unwrap_or(entry) == host),
                Err(_) => entries().any(|entry| has_name(entry, host)),
            }
        }
    }
}

fn has_name(entry: &str, host: &str) -> bool {
    let entry = entry.strip_suffix('.').unwrap_or(entry);
    let entry = entry.strip_prefix('.').unwrap_or(entry);
    let at = host.len().checked_sub(entry.len()).filter(|_| !entry.is_empty());
    let Some((above, end)) = at.and_then(|at| host.as_bytes().split_at_checked(at)) else { return false };
    end.eq_ignore_ascii_case(entry.as_bytes()) && above.last().is_none_or(|&b| b == b'.')
}

fn has_address(entry: &str, ip: IpAddr) -> bool {
    let (address, bits) = match entry.split_once('/') {
        Some((address, bits)) => (address, leading_number(bits)),
        None => (entry, Some(0)),
    };
    let (Ok(address), Some(bits)) = (address.parse::<IpAddr>(), bits) else { return false };
    let (bytes, other, width) = match (ip, address) {
        (IpAddr::V4(one), IpAddr::V4(two)) => (one.to_ipv6_mapped(), two.to_ipv6_mapped(), 32),
        (IpAddr::V6(one), IpAddr::V6(two)) => (one, two, 128),
        _ => return false,
    };
    // curl takes no bits for all of them.
    let bits = if bits == 0 { width } else { bits };
    let number = |ip: Ipv6Addr| u128::from_be_bytes(ip.octets());
    bits <= width && (number(bytes) ^ number(other)) >> (width - bits) == 0
}

/// The number that a text begins with, zero if there is none; `None` if it is negative or huge.
fn leading_number(text: &str) -> Option<u32> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    match text.get(..end)? {
        "" if text.starts_with('-') => None,
        "" => Some(0),
        digits => digits.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checked row by row against curl 7.88.1: which of two closed ports it names, the proxy's or the one that
    /// `--connect-to` sends everything else to.
    #[test]
    fn the_list_is_read_as_curl_reads_it() {
        for (list, host, expected) in [
            ("", "login.example.com", false),
            ("*", "login.example.com", true),
            ("*", "10.1.2.3", true),
            ("*", "::1", true),
            (" * ", "login.example.com", false),
            ("*,x", "login.example.com", false),
            ("x,*", "login.example.com", false),
            ("example.com", "example.com", true),
            ("example.com", "login.example.com", true),
            ("example.com", "notexample.com", false),
            ("example.com", "example.com.evil", false),
            ("EXAMPLE.com", "login.example.COM", true),
            (".example.com", "example.com", true),
            (".example.com", "login.example.com", true),
            (".example.com", "notexample.com", false),
            ("..example.com", "login.example.com", false),
            ("*.example.com", "login.example.com", false),
            ("example.com.", "login.example.com", true),
            ("example.com", "login.example.com.", true),
            ("example.com..", "example.com", false),
            (".", "example.com", false),
            (",", "example.com", false),
            ("com", "example.com", true),
            ("example.com:443", "example.com", false),
            ("a.example, example.com", "login.example.com", true),
            ("a.example example.com", "login.example.com", true),
            ("a.example\texample.com", "login.example.com", true),
            ("a.example,,example.com", "login.example.com", true),
            ("a.example , ,example.com", "login.example.com", true),
            (" example.com ", "login.example.com", true),
            ("a.example;example.com", "example.com", false),
            ("localhost", "localhost", true),
            ("127.0.0.1", "localhost", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.30", false),
            ("10.1.2", "10.1.2.3", false),
            (".1.2.3", "10.1.2.3", false),
            ("10.1.2.3.", "10.1.2.3", false),
            ("10.1.2.3", "10.1.2.3.", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.1.2.0/24", "10.1.2.255", true),
            ("10.1.2.0/24", "10.1.3.0", false),
            ("10.1.2.0/23", "10.1.3.7", true),
            ("10.1.2.3/32", "10.1.2.3", true),
            ("10.1.2.3/33", "10.1.2.3", false),
            ("10.1.2.3/0", "10.1.2.3", true),
            ("0.0.0.0/0", "10.1.2.3", false),
            ("10.1.2.3/x", "10.1.2.3", true),
            ("10.1.2.3/8x", "10.9.9.9", true),
            ("10.1.2.3/ 8", "10.1.2.3", true),
            ("10.1.2.3/-1", "10.1.2.3", false),
            ("10.1.2.3/", "10.1.2.3", true),
            ("10.1.2.3/", "10.1.2.4", false),
            ("10.0.0.0/08", "10.1.2.3", true),
            ("10.0.0.0/+8", "10.1.2.3", true),
            ("10.0.0.0/8/9", "10.1.2.3", true),
            ("10.1.2.3:443", "10.1.2.3", false),
            ("10.0.0.0/8", "host.10.1.2.3.example", false),
            ("0x0a.1.2.3", "10.1.2.3", false),
            ("010.1.2.3", "10.1.2.3", false),
            ("::1", "::1", true),
            ("[::1]", "::1", false),
            ("::1", "0:0:0:0:0:0:0:1", true),
            ("fd00::/8", "fe80::1", false),
            ("fd12:3456::/20", "fd12:4000::1", false),
            ("[fd00::]/8", "fd12::1", false),
            ("::/0", "fd12::1", false),
            ("fd12::1/129", "fd12::1", false),
            ("127.0.0.1", "::ffff:127.0.0.1", false),
            ("::ffff:127.0.0.1", "127.0.0.1", false),
        ] {
            assert_eq!(matches(list, host), expected, "{list:?} has {host}");
        }
    }

    /// curl 7.88.1 compares IPv6 addresses as text, against what its manual says of networks. Here they are addresses.
    #[test]
    fn addresses_of_version_6_are_read_as_curl_documents_it() {
        for (list, host) in [
            ("0:0:0:0:0:0:0:1", "::1"),
            ("fd00::/8", "fd12::1"),
            ("fd12:3456::/20", "fd12:3fff::1"),
            ("fd12::1/0", "fd12::1"),
            ("fd12::1/128", "fd12::1"),
            ("::ffff:127.0.0.0/104", "::ffff:127.0.0.1"),
        ] {
            assert!(matches(list, host), "{list:?} has {host}");
        }
    }
}
