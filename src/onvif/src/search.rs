//! WS-Discovery 1.0 (the version that ONVIF Core 7.3 names): one question to everybody by multicast, on each interface, and the answers of a
//! few seconds. By IPv4, and by IPv6 within each link.

use crate::xml;
use perch_base::clock::{SharedClock, within};
use perch_base::net::interfaces;
use perch_base::secret::{hex, random_bytes};
use perch_domain::discovery::is_of_a_house;
use perch_domain::onvif::{Answered, of_scopes, on_host};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// Where all devices listen.
const GROUP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 255, 255, 250)), 3702);
/// The same by IPv6 (WS-Discovery 1.0, 2.4).
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xc);
const PORT: u16 = 3702;
/// Interfaces that are asked on, answers in all, and bytes of one.
const MOST_INTERFACES: usize = 16;
const MOST_ANSWERS: usize = 128;
const MAX_ANSWER_BYTES: usize = 32 << 10;
/// The question is asked once more after this: a datagram is lost easily, and devices sleep.
const AGAIN_AFTER: Duration = Duration::from_millis(400);

/// Devices that answer within `wait`, each once. What goes wrong on one interface costs nothing on the others.
pub(crate) async fn search(clock: &SharedClock, wait: Duration) -> Vec<Answered> {
    let all = interfaces().unwrap_or_default();
    let addresses = all.iter().flat_map(|interface| interface.addresses.iter());
    let own: BTreeSet<Ipv4Addr> =
        addresses.filter_map(|ip| if let IpAddr::V4(v4) = ip { Some(*v4) } else { None }).collect();
    let with_v6 = all.iter().filter(|interface| interface.addresses.iter().any(IpAddr::is_ipv6));
    let links = with_v6.filter_map(|interface| index_of(&interface.name));
    let mut asking = JoinSet::new();
    let by_v4 = own.into_iter().take(MOST_INTERFACES).map(|address| (address.to_string(), socket_at(address), GROUP));
    let by_v6 = links.take(MOST_INTERFACES).map(|link| {
        let group = SocketAddrV6::new(GROUP_V6, PORT, 0, link);
        (format!("link {link}"), socket_on(link), group.into())
    });
    for (place, socket, group) in by_v4.chain(by_v6) {
        match socket {
            Ok(socket) => {
                asking.spawn(ask(socket, group, clock.clone(), wait));
            }
            Err(e) => tracing::debug!(place, error = %e, "no cameras are looked for here"),
        }
    }
    let mut found: Vec<Answered> = Vec::new();
    while let Some(answered) = asking.join_next().await {
        for one in answered.into_iter().flatten() {
            if found.len() < MOST_ANSWERS && found.iter().all(|other| other.url != one.url) {
                found.push(one);
            }
        }
    }
    found.sort_by_key(|one| (one.address, one.url.clone()));
    found
}

fn socket_at(address: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_multicast_if_v4(&address)?;
    socket.set_multicast_loop_v4(true)?;
    // It stays in the house.
    socket.set_multicast_ttl_v4(1)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((address, 0)).into())?;
    UdpSocket::from_std(socket.into())
}

/// The kernel's number of an interface.
fn index_of(name: &str) -> Option<u32> {
    let is_name = !name.contains('/') && name != "..";
    let read = || std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex")).ok();
    is_name.then(read).flatten()?.trim().parse().ok()
}

fn socket_on(link: u32) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_only_v6(true)?;
    socket.set_multicast_if_v6(link)?;
    socket.set_multicast_loop_v6(true)?;
    socket.set_multicast_hops_v6(1)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into())?;
    UdpSocket::from_std(socket.into())
}

/// Asks on one interface and hears the answers.
async fn ask(socket: UdpSocket, group: SocketAddr, clock: SharedClock, wait: Duration) -> Vec<Answered> {
    let mut found = Vec::new();
    let question = question();
    if socket.send_to(question.as_bytes(), group).await.is_err() {
        return found;
    }
    let _ = within(&clock, AGAIN_AFTER.min(wait), hear(&socket, &mut found)).await;
    // One that cannot be sent was heard once already.
    let _ = socket.send_to(question.as_bytes(), group).await;
    let _ = within(&clock, wait.saturating_sub(AGAIN_AFTER), hear(&socket, &mut found)).await;
    found
}

async fn hear(socket: &UdpSocket, found: &mut Vec<Answered>) {
    let mut datagram = vec![0; MAX_ANSWER_BYTES];
    let mut heard = 0;
    while heard < 4 * MOST_ANSWERS {
        let Ok((size, from)) = socket.recv_from(&mut datagram).await else { return };
        heard += 1;
        let text = String::from_utf8_lossy(&datagram[..size]);
        for one in answers(&text, from.ip()) {
            if found.len() < MOST_ANSWERS && !found.contains(&one) {
                found.push(one);
            }
        }
    }
}

fn question() -> String {
    let [a, b, c, d, e] = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex(&random_bytes::<16>())[part].to_owned());
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:w=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" \
         xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\"><e:Header><w:MessageID>uuid:{a}-{b}-{c}-{d}-{e}</w:MessageID>\
         <w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>\
         <w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>\
         <e:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></e:Body></e:Envelope>"
    )
}

/// The devices that an answer from this address names, each on that very address. One that came within a link (`fe80::…`) is from a device of
/// this very network, and such an address cannot stand in a URL: it is asked at the first of a house's addresses that it names.
fn answers(text: &str, from: IpAddr) -> Vec<Answered> {
    let Ok(document) = xml::parse(text) else { return Vec::new() };
    let matches = xml::all(document.root(), "ProbeMatch").take(4);
    let one = |found: roxmltree::Node<'_, '_>| {
        let addresses = xml::text(found, &["XAddrs"]);
        let named = || addresses.split_ascii_whitespace().take(16).filter(|named| named.starts_with("http"));
        let is_of_link = matches!(from, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let (address, best) = match is_of_link {
            true => named().find_map(|named| Some((address_of(named)?, named)))?,
            // The one of the address that answered, else the first, whose host is put right.
            false => {
                let host = from.to_string();
                (from, named().find(|named| named.contains(&host)).or_else(|| named().next())?)
            }
        };
        let url = on_host(best, &address.to_string(), &["http", "https"])?;
        let (name, model) = of_scopes(&xml::text(found, &["Scopes"]));
        Some(Answered { address, url, name, model })
    };
    matches.filter_map(one).collect()
}

/// The address of a house in a URL by which it can be reached.
fn address_of(url: &str) -> Option<IpAddr> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let host = match authority.strip_prefix('[') {
        Some(six) => six.split(']').next()?,
        None => authority.split(':').next()?,
    };
    let address: IpAddr = host.parse().ok()?;
    let is_of_link = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    (is_of_a_house(address) && !address.is_loopback() && !is_of_link).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(addresses: &str) -> String {
        format!(
            "<e:Envelope xmlns:e=\"x\"><e:Body><ProbeMatches><ProbeMatch><Scopes>onvif://www.onvif.org/name/Cam \
             onvif://www.onvif.org/hardware/X1</Scopes><XAddrs>{addresses}</XAddrs></ProbeMatch></ProbeMatches></e:Body></e:Envelope>"
        )
    }

    #[test]
    fn an_answer_speaks_for_its_own_address_alone() {
        let from: IpAddr = "10.0.0.7".parse().expect("an address");
        for (addresses, want) in [
            ("http://10.0.0.7/onvif/device_service", Some("http://10.0.0.7/onvif/device_service")),
            ("http://169.254.1.1/a http://10.0.0.7:8000/b", Some("http://10.0.0.7:8000/b")),
            ("http://evil.example:81/x", Some("http://10.0.0.7:81/x")),
            ("https://10.0.0.7/x", Some("https://10.0.0.7/x")),
            ("ftp://10.0.0.7/x", None),
            ("", None),
        ] {
            let found = answers(&answer(addresses), from);
            assert_eq!(found.first().map(|one| one.url.as_str()), want, "{addresses}");
        }
        let found = answers(&answer("http://10.0.0.7/"), from);
        assert_eq!((found[0].name.as_str(), found[0].model.as_str()), ("Cam", "X1"));
        for junk in ["", "<", "\u{0}\u{1}", "<a/>", "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>"] {
            assert!(answers(junk, from).is_empty());
        }
    }

    #[test]
    fn an_answer_within_a_link_is_asked_at_an_address_that_leads_there() {
        let from: IpAddr = "fe80::1".parse().expect("an address");
        for (addresses, want) in [
            ("http://[fe80::1]/a http://192.168.1.20:81/b", Some("http://192.168.1.20:81/b")),
            ("http://[fd00::7]:8000/a http://10.0.0.7/b", Some("http://[fd00::7]:8000/a")),
            ("http://[fe80::1]/a http://169.254.1.1/a http://127.0.0.1/a http://8.8.8.8/a http://evil.example/", None),
        ] {
            let found = answers(&answer(addresses), from);
            assert_eq!(found.first().map(|one| one.url.as_str()), want, "{addresses}");
        }
        let found = answers(&answer("http://[fe80::9]/a"), "fd00::9".parse().expect("an address"));
        assert_eq!(found[0].url, "http://[fd00::9]/a", "of another address than a link's it speaks for that alone");
    }

    /// A device that listens on a link, where this machine has one.
    #[tokio::test]
    async fn devices_are_found_by_ipv6() {
        let all = interfaces().expect("listed");
        let is_link = |ip: &IpAddr| matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let with_link = all.iter().find(|interface| interface.addresses.iter().any(is_link));
        let Some(link) = with_link.and_then(|interface| index_of(&interface.name)) else { return };
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
        socket.set_reuse_address(true).expect("set");
        socket.set_only_v6(true).expect("set");
        socket.set_nonblocking(true).expect("set");
        socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)).into()).expect("bound");
        socket.join_multicast_v6(&GROUP_V6, link).expect("joined");
        let device = UdpSocket::from_std(socket.into()).expect("a socket");
        let answering = async {
            let mut datagram = vec![0; MAX_ANSWER_BYTES];
            while let Ok((size, from)) = device.recv_from(&mut datagram).await {
                if String::from_utf8_lossy(&datagram[..size]).contains("NetworkVideoTransmitter") {
                    let told = answer("http://192.168.77.20/onvif/device_service");
                    device.send_to(told.as_bytes(), from).await.expect("sent");
                }
            }
        };
        let clock: SharedClock = std::sync::Arc::new(perch_base::clock::SystemClock);
        let found = tokio::select! {
            found = search(&clock, Duration::from_secs(2)) => found,
            () = answering => panic!("the device stopped"),
        };
        let own: Vec<_> = found.iter().filter(|one| one.url.contains("192.168.77.20")).collect();
        assert_eq!(own.len(), 1, "{found:?}");
        assert_eq!(own[0].name, "Cam");
    }

    #[test]
    fn the_question_is_xml_and_never_the_same() {
        assert!(xml::parse(&question()).is_ok() && question() != question());
    }
}
