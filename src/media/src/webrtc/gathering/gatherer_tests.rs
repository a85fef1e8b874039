//! TURN servers that answer what they like, on real sockets.

use super::super::stun::kind::SUCCESS;
use super::*;
use perch_base::clock::SystemClock;
use perch_base::secret::Secret;
use perch_base::shutdown;
use tokio::net::UdpSocket;

/// One at an address that grants whatever is asked for at once, and says that it relays by another.
async fn grants(at: &str, relayed: SocketAddr) -> TurnServer {
    let socket = UdpSocket::bind((at, 0)).await.expect("a port");
    let url = format!("turn:{}?transport=udp", socket.local_addr().expect("bound"));
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
            let Some(asked) = StunMessage::read(&buffer[..len]) else { continue };
            let answer = StunRequest::new(asked.kind + SUCCESS, asked.id).with_address(attribute::RELAYED, relayed);
            let answer = answer.with(attribute::LIFETIME, &600u32.to_be_bytes()).done();
            let _ = socket.send_to(&answer, from).await;
        }
    });
    TurnServer { url, secrets: vec![Secret::new("north".into())], ca_pem: None }
}

/// Gathers with these servers until a relay is held; which.
async fn held(gathered: &Arc<Gathered>, turn: Vec<TurnServer>, port: SocketAddr) -> SocketAddr {
    let config = Arc::new(RwLock::new(Arc::new(Config { turn, ..Config::new(port) })));
    let mut gatherer = Gatherer::new(gathered.clone(), config, Arc::new(SystemClock), port);
    let (end, until) = shutdown::channel();
    let running = tokio::spawn(async move { gatherer.run_once(&until).await });
    let held = async {
        loop {
            if let Some(relayed) = gathered.relayed() {
                return relayed.addr();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let held = tokio::time::timeout(Duration::from_secs(30), held).await.expect("one is held");
    assert!(!gathered.relay(port, held, b"what is sent directly"), "it leaves by the port");
    assert!(gathered.relay(held, port, b"what is relayed"));
    end.fire();
    running.await.expect("no panic").expect("ends well");
    assert_eq!(gathered.relayed(), None, "it was given back");
    held
}

#[tokio::test]
async fn a_relay_that_names_an_address_of_the_boxs_own_is_passed_over() {
    let port: SocketAddr = "127.0.0.1:8189".parse().expect("an address");
    let [own, nowhere, good] =
        ["127.0.0.1:8189", "0.0.0.0:50000", "127.0.0.1:50000"].map(|at| at.parse().expect("one"));
    let mut turn = Vec::new();
    for relayed in [own, nowhere, good] {
        turn.push(grants("127.0.0.1", relayed).await);
    }
    assert_eq!(held(&Arc::new(Gathered::new().0), turn, port).await, good);
}

/// A server that is reached by IPv6, and relays by it.
#[tokio::test]
async fn a_relay_may_be_one_of_ipv6() {
    let port: SocketAddr = "[::1]:8189".parse().expect("an address");
    let [own, good] = ["[::1]:8189", "[2001:db8::1]:50000"].map(|at| at.parse().expect("one"));
    let turn = vec![grants("::1", own).await, grants("::1", good).await];
    assert_eq!(held(&Arc::new(Gathered::new().0), turn, port).await, good);
}
