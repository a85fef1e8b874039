//! ONVIF devices on loopback: one answers WS-Discovery, its device and media services want a password as real ones do, and it names the
//! streams of cameras that run beside it. Others lie, or want to do harm.

use crate::base64;
use crate::model::Tls;
use crate::server::tls::secured;
use aws_lc_rs::digest;
use md5::{Digest as _, Md5};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);
const DISCOVERY_PORT: u16 = 3702;
/// How far a password's proof may be from the device's clock, seconds.
const CLOCK_BOUND_S: i64 = 60;
const NONCE: &str = "b4d0";

/// A stream that a device names.
#[derive(Clone, Debug)]
pub struct OnvifStream {
    /// Token of what it shows.
    pub sight: &'static str,
    /// As the device calls its codec.
    pub encoding: &'static str,
    /// Pixels.
    pub size: (u32, u32),
    /// Where it is.
    pub address: String,
}

/// How a device answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// As it should.
    Right,
    /// With a document that grows to gigabytes by its entities.
    Bomb,
    /// Nested a hundred thousand deep.
    Deep,
    /// With 10 MB.
    Huge,
    /// With a byte a second.
    Slowly,
    /// Not at all.
    Never,
    /// With a redirect to another address.
    Elsewhere,
    /// With what is no XML.
    Junk,
}

/// A device.
#[derive(Clone, Debug)]
pub struct OnvifModel {
    /// What it calls itself.
    pub name: &'static str,
    /// Right user and password.
    pub login: (&'static str, &'static str),
    /// Its streams.
    pub streams: Vec<OnvifStream>,
    /// How far its clock is ahead, seconds.
    pub clock_ahead_s: i64,
    /// The host by which it names its own services and streams.
    pub named_host: &'static str,
    /// Whether it wants Digest of HTTP instead of WS-Security.
    pub http_digest: bool,
    /// Whether it has the second media service.
    pub has_media2: bool,
    /// Whether it is asked by https, with a certificate of its own.
    pub is_tls: bool,
    /// Whether it answers searches.
    pub is_found: bool,
    /// Its picture settings, where it has some.
    pub imaging: Option<Arc<FakeImaging>>,
    /// How it answers.
    pub answers: Answers,
}

/// The picture settings of a device: brightness, infrared filter, exposure; kept while it runs.
#[derive(Debug)]
pub struct FakeImaging {
    values: Mutex<BTreeMap<&'static str, String>>,
    sets: AtomicUsize,
}

impl Default for FakeImaging {
    fn default() -> Self {
        let values = [("Brightness", "50"), ("IrCutFilter", "AUTO"), ("Mode", "AUTO"), ("Gain", "0")];
        let values = values.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        Self { values: Mutex::new(values), sets: AtomicUsize::new(0) }
    }
}

impl FakeImaging {
    /// What one of them is.
    pub fn value(&self, name: &str) -> String {
        self.values.lock().ok().and_then(|values| values.get(name).cloned()).unwrap_or_default()
    }

    /// They are what they were at first, as after a reset.
    pub fn forget(&self) {
        if let (Ok(mut values), Ok(first)) = (self.values.lock(), Self::default().values.lock()) {
            values.clone_from(&first);
        }
    }

    /// How often some were set.
    pub fn sets(&self) -> usize {
        self.sets.load(Ordering::SeqCst)
    }

    /// Takes what a request sets; what is out of range is refused.
    fn set(&self, body: &str) -> bool {
        let Some((_, settings)) = body.split_once("<ImagingSettings>") else { return false };
        let Ok(mut values) = self.values.lock() else { return false };
        for (name, value) in values.iter_mut() {
            let told = settings.split_once(&format!("<{name} ")).and_then(|(_, rest)| between(rest, ">", "<"));
            let Some(told) = told else { continue };
            if told.parse::<f64>().is_ok_and(|n| !(0.0..=100.0).contains(&n)) {
                return false;
            }
            told.clone_into(value);
        }
        self.sets.fetch_add(1, Ordering::SeqCst);
        true
    }

    fn settings(&self) -> String {
        let [brightness, filter, mode, gain] =
            ["Brightness", "IrCutFilter", "Mode", "Gain"].map(|name| self.value(name));
        format!(
            "<timg:GetImagingSettingsResponse><timg:ImagingSettings><tt:Brightness>{brightness}</tt:Brightness>\
             <tt:Exposure><tt:Mode>{mode}</tt:Mode><tt:Gain>{gain}</tt:Gain></tt:Exposure>\
             <tt:IrCutFilter>{filter}</tt:IrCutFilter></timg:ImagingSettings></timg:GetImagingSettingsResponse>"
        )
    }
}

/// What they may be.
const OPTIONS: &str = "<timg:GetOptionsResponse><timg:ImagingOptions><tt:Brightness><tt:Min>0</tt:Min><tt:Max>100</tt:Max></tt:Brightness>\
     <tt:Exposure><tt:Mode>AUTO</tt:Mode><tt:Mode>MANUAL</tt:Mode><tt:Gain><tt:Min>0</tt:Min><tt:Max>30</tt:Max></tt:Gain></tt:Exposure>\
     <tt:IrCutFilterModes>ON</tt:IrCutFilterModes><tt:IrCutFilterModes>OFF</tt:IrCutFilterModes>\
     <tt:IrCutFilterModes>AUTO</tt:IrCutFilterModes></timg:ImagingOptions></timg:GetOptionsResponse>";

impl OnvifModel {
    /// A good one with these streams: `admin`, `pass`.
    pub fn new(streams: Vec<OnvifStream>) -> Self {
        Self {
            name: "Yard cam",
            login: ("admin", "pass"),
            streams,
            clock_ahead_s: 0,
            named_host: "127.0.0.1",
            http_digest: false,
            has_media2: false,
            is_tls: false,
            is_found: false,
            imaging: None,
            answers: Answers::Right,
        }
    }
}

/// A device on 127.0.0.1, until it is dropped.
pub struct OnvifCamera {
    port: u16,
    scheme: &'static str,
    stop: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl OnvifCamera {
    /// Starts one on a free port.
    pub fn start(model: OnvifModel) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        listener.set_nonblocking(true)?;
        let (stop, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut threads = Vec::new();
        if model.is_found {
            let (socket, model, stop) = (discovery_socket()?, model.clone(), stop.clone());
            threads.push(std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    answer_search(&socket, &model, port);
                }
            }));
        }
        let scheme = scheme(&model);
        let own = |why| io::Error::other(format!("no certificate: {why}"));
        let tls = model.is_tls.then(|| secured(Tls::Own)).transpose().map_err(own)?;
        let tls = tls.map(|own| own.acceptor.config().clone());
        let (model, of_thread, count) = (Arc::new(model), stop.clone(), refused.clone());
        threads.push(std::thread::spawn(move || {
            while !of_thread.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((connection, _)) => {
                        let (model, stop, count) = (model.clone(), of_thread.clone(), count.clone());
                        let tls = tls.clone();
                        // It ends with its connection.
                        std::thread::spawn(move || drop(accepted(connection, tls, &model, port, &stop, &count)));
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        }));
        Ok(Self { port, scheme, stop, refused, threads })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its device service.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}/onvif/device_service", self.scheme, self.port)
    }

    /// How often a password was refused.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

impl Drop for OnvifCamera {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

fn discovery_socket() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    // Many devices are on one machine in tests.
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, DISCOVERY_PORT)).into())?;
    socket.join_multicast_v4(&GROUP, &Ipv4Addr::LOCALHOST)?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    Ok(socket.into())
}

fn answer_search(socket: &UdpSocket, model: &OnvifModel, port: u16) {
    let mut datagram = vec![0; 64 << 10];
    let Ok((size, from)) = socket.recv_from(&mut datagram) else { return };
    let question = String::from_utf8_lossy(&datagram[..size]).into_owned();
    if !question.contains("Probe") || !question.contains("NetworkVideoTransmitter") {
        return;
    }
    let answer = match model.answers {
        Answers::Bomb => bomb(),
        Answers::Junk => "\u{1}<<".into(),
        _ => {
            let (scheme, host, name) = (scheme(model), model.named_host, model.name.replace(' ', "%20"));
            let id = between(&question, "MessageID>", "<").unwrap_or_default();
            format!(
                "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
                 xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\">\
                 <s:Header><a:RelatesTo>{id}</a:RelatesTo></s:Header><s:Body><d:ProbeMatches><d:ProbeMatch>\
                 <d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>onvif://www.onvif.org/type/video_encoder \
                 onvif://www.onvif.org/name/{name} onvif://www.onvif.org/hardware/FC-1</d:Scopes>\
                 <d:XAddrs>{scheme}://{host}:{port}/onvif/device_service</d:XAddrs></d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>"
            )
        }
    };
    // One that is lost is asked for again.
    let _ = socket.send_to(answer.as_bytes(), from);
}

fn bomb() -> String {
    let mut text = String::from("<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY l0 \"lol\">");
    for n in 1..10 {
        text += &format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10));
    }
    text + "]><Envelope><Body>&l9;</Body></Envelope>"
}

fn between<'t>(text: &'t str, from: &str, to: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(from)?;
    rest.split_once(to).map(|(found, _)| found)
}

fn scheme(model: &OnvifModel) -> &'static str {
    if model.is_tls { "https" } else { "http" }
}

fn accepted(
    connection: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    model: &OnvifModel,
    port: u16,
    stop: &AtomicBool,
    refused: &AtomicUsize,
) -> io::Result<()> {
    connection.set_nonblocking(false)?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    connection.set_write_timeout(Some(Duration::from_secs(5)))?;
    match tls {
        Some(config) => {
            let session = ServerConnection::new(config).map_err(io::Error::other)?;
            let mut stream = StreamOwned::new(session, connection);
            serve(&mut stream, model, port, stop, refused)?;
            stream.conn.send_close_notify();
            stream.flush()
        }
        None => serve(connection, model, port, stop, refused),
    }
}

/// One request and its answer.
fn serve(
    connection: impl Read + Write,
    model: &OnvifModel,
    port: u16,
    stop: &AtomicBool,
    refused: &AtomicUsize,
) -> io::Result<()> {
    let (mut head, mut length, mut authorization) = (String::new(), 0, String::new());
    let mut reader = BufReader::new(connection);
    loop {
        head.clear();
        if reader.read_line(&mut head)? == 0 || head.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = head.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "authorization" => value.trim().clone_into(&mut authorization),
                _ => {}
            }
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let document = match model.answers {
        Answers::Right => return answered(reader.get_mut(), model, port, &body, &authorization, refused),
        Answers::Bomb => bomb(),
        Answers::Deep => format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000)),
        Answers::Huge => format!("<a>{}</a>", "<b>x</b>".repeat(1_250_000)),
        Answers::Junk => "\u{1}<<&".into(),
        Answers::Never => {
            while !stop.load(Ordering::SeqCst) && reader.read(&mut [0]).is_err() {}
            return Ok(());
        }
        Answers::Slowly => {
            for byte in b"HTTP/1.1 200 OK\r\nX: ".iter().chain(std::iter::repeat(&b'x')) {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                reader.get_mut().write_all(&[*byte])?;
                std::thread::sleep(Duration::from_millis(200));
            }
            return Ok(());
        }
        Answers::Elsewhere => {
            let head = "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n";
            return reader.get_mut().write_all(head.as_bytes());
        }
    };
    send(reader.get_mut(), "200 OK", "", &document)
}

fn send(connection: &mut impl Write, status: &str, more: &str, body: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/soap+xml\r\n{more}Content-Length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes())?;
    connection.write_all(body.as_bytes())
}

fn envelope(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:tt=\"http://www.onvif.org/ver10/schema\" xmlns:tds=\"http://www.onvif.org/ver10/device/wsdl\" \
         xmlns:trt=\"http://www.onvif.org/ver10/media/wsdl\" xmlns:tr2=\"http://www.onvif.org/ver20/media/wsdl\" \
         xmlns:timg=\"http://www.onvif.org/ver20/imaging/wsdl\">\
         <s:Body>{body}</s:Body></s:Envelope>"
    )
}

fn fault(code: &str) -> String {
    envelope(&format!(
        "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:{code}</s:Value></s:Subcode></s:Code>\
         <s:Reason><s:Text xml:lang=\"en\">no</s:Text></s:Reason></s:Fault>"
    ))
}

/// Seconds since 1970 on the device's clock.
fn now(model: &OnvifModel) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    now + model.clock_ahead_s
}

/// Year, month, day, hour, minute, second (days from civil, H. Hinnant).
fn civil(seconds: i64) -> [i64; 6] {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let z = days + 719_468;
    let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    [yoe + era * 400 + i64::from(month <= 2), month, day, rest / 3600, rest / 60 % 60, rest % 60]
}

fn is_signed(model: &OnvifModel, body: &str, authorization: &str) -> bool {
    let (user, password) = model.login;
    if model.http_digest {
        let value = |name: &str| {
            let found = between(authorization, &format!(" {name}=\""), "\"")
                .or_else(|| between(authorization, &format!(" {name}="), ","));
            found.unwrap_or_default().to_owned()
        };
        let md5 = |text: String| Md5::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect::<String>();
        let (secret, what) = (md5(format!("{user}:cam:{password}")), md5(format!("POST:{}", value("uri"))));
        let nc = value("nc");
        return value("response") == md5(format!("{secret}:{NONCE}:{nc}:{}:auth:{what}", value("cnonce")));
    }
    let part = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>")).or_else(|| body.split_once(&format!("<{name} ")))?;
        let behind = if body.contains(&format!("<{name}>")) { rest } else { rest.split_once('>')?.1 };
        behind.split_once('<').map(|(found, _)| found.to_owned())
    };
    let [name, proof, nonce, created] =
        ["Username", "Password", "Nonce", "Created"].map(|name| part(name).unwrap_or_default());
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    [&base64::decode(&nonce)[..], created.as_bytes(), password.as_bytes()].iter().for_each(|part| hash.update(part));
    let near = (-CLOCK_BOUND_S..=CLOCK_BOUND_S).any(|off| {
        let [year, month, day, hour, minute, second] = civil(now(model) + off);
        created == format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    });
    name == user && proof == base64::encode(hash.finish().as_ref()) && near
}

fn answered(
    connection: &mut impl Write,
    model: &OnvifModel,
    port: u16,
    body: &str,
    authorization: &str,
    refused: &AtomicUsize,
) -> io::Result<()> {
    let here = |path: &str| format!("{}://{}:{port}/onvif/{path}", scheme(model), model.named_host);
    let asks = |name: &str| body.contains(&format!("<{name}"));
    if asks("GetSystemDateAndTime") {
        let [year, month, day, hour, minute, second] = civil(now(model));
        let time = format!(
            "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:UTCDateTime><tt:Time><tt:Hour>{hour}</tt:Hour>\
             <tt:Minute>{minute}</tt:Minute><tt:Second>{second}</tt:Second></tt:Time><tt:Date><tt:Year>{year}</tt:Year>\
             <tt:Month>{month}</tt:Month><tt:Day>{day}</tt:Day></tt:Date></tt:UTCDateTime></tds:SystemDateAndTime>\
             </tds:GetSystemDateAndTimeResponse>"
        );
        return send(connection, "200 OK", "", &envelope(&time));
    }
    if !is_signed(model, body, authorization) {
        if !authorization.is_empty() || body.contains("<Password") {
            refused.fetch_add(1, Ordering::SeqCst);
        }
        return match model.http_digest {
            true => {
                let ask = format!("WWW-Authenticate: Digest realm=\"cam\", nonce=\"{NONCE}\", qop=\"auth\"\r\n");
                send(connection, "401 Unauthorized", &ask, "")
            }
            false => send(connection, "400 Bad Request", "", &fault("NotAuthorized")),
        };
    }
    let answer = if asks("GetDeviceInformation") {
        "<tds:GetDeviceInformationResponse><tds:Manufacturer>Fake</tds:Manufacturer><tds:Model>FC-1</tds:Model>\
         <tds:FirmwareVersion>1.2.3</tds:FirmwareVersion></tds:GetDeviceInformationResponse>"
            .to_owned()
    } else if asks("GetServices") {
        if !model.has_media2 {
            return send(connection, "400 Bad Request", "", &fault("ActionNotSupported"));
        }
        let service = |space: &str| {
            format!(
                "<tds:Service><tds:Namespace>http://www.onvif.org/{space}/wsdl</tds:Namespace><tds:XAddr>{}</tds:XAddr></tds:Service>",
                here("media")
            )
        };
        let imaging = model.imaging.as_ref().map_or(String::new(), |_| service("ver20/imaging"));
        format!(
            "<tds:GetServicesResponse>{}{}{imaging}</tds:GetServicesResponse>",
            service("ver10/media"),
            service("ver20/media")
        )
    } else if asks("GetCapabilities") && body.contains(">Imaging<") {
        let service = |_| format!("<tt:Imaging><tt:XAddr>{}</tt:XAddr></tt:Imaging>", here("imaging"));
        let imaging = model.imaging.as_ref().map_or(String::new(), service);
        format!(
            "<tds:GetCapabilitiesResponse><tds:Capabilities>{imaging}</tds:Capabilities></tds:GetCapabilitiesResponse>"
        )
    } else if let Some(imaging) =
        model.imaging.as_ref().filter(|_| asks("GetOptions") || body.contains("ImagingSettings"))
    {
        if between(body, "<VideoSourceToken>", "<") != model.streams.first().map(|stream| stream.sight) {
            return send(connection, "400 Bad Request", "", &fault("NoSource"));
        }
        match () {
            () if asks("GetOptions") => OPTIONS.to_owned(),
            () if asks("GetImagingSettings") => imaging.settings(),
            () if asks("SetImagingSettings") && imaging.set(body) => "<timg:SetImagingSettingsResponse/>".to_owned(),
            () => return send(connection, "400 Bad Request", "", &fault("SettingsInvalid")),
        }
    } else if asks("GetCapabilities") {
        format!(
            "<tds:GetCapabilitiesResponse><tds:Capabilities><tt:Media><tt:XAddr>{}</tt:XAddr></tt:Media></tds:Capabilities>\
             </tds:GetCapabilitiesResponse>",
            here("media")
        )
    } else if asks("GetProfiles") {
        let profiles: String =
            model.streams.iter().enumerate().map(|(n, stream)| profile(n, stream, model.has_media2)).collect();
        format!("<trt:GetProfilesResponse>{profiles}</trt:GetProfilesResponse>")
    } else if asks("GetStreamUri") {
        let token = between(body, "<ProfileToken>p", "<").and_then(|n| n.parse::<usize>().ok());
        match token.and_then(|n| model.streams.get(n)) {
            Some(stream) => {
                let address = stream.address.replace("127.0.0.1", model.named_host).replace('&', "&amp;");
                format!(
                    "<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>{address}</tt:Uri></trt:MediaUri></trt:GetStreamUriResponse>"
                )
            }
            None => return send(connection, "400 Bad Request", "", &fault("NoProfile")),
        }
    } else {
        return send(connection, "400 Bad Request", "", &fault("ActionNotSupported"));
    };
    send(connection, "200 OK", "", &envelope(&answer))
}

fn profile(n: usize, stream: &OnvifStream, is_second: bool) -> String {
    let OnvifStream { sight, encoding, size: (width, height), .. } = stream;
    let video = format!(
        "<tt:Encoding>{encoding}</tt:Encoding><tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height></tt:Resolution>\
         <tt:RateControl><tt:FrameRateLimit>25</tt:FrameRateLimit><tt:BitrateLimit>2048</tt:BitrateLimit></tt:RateControl>"
    );
    let source = format!("<tt:SourceToken>{sight}</tt:SourceToken>");
    match is_second {
        true => format!(
            "<tr2:Profiles token=\"p{n}\"><tr2:Name>{n}</tr2:Name><tr2:Configurations><tr2:VideoSource>{source}</tr2:VideoSource>\
             <tr2:VideoEncoder>{video}</tr2:VideoEncoder></tr2:Configurations></tr2:Profiles>"
        ),
        false => format!(
            "<trt:Profiles token=\"p{n}\"><tt:Name>{n}</tt:Name><tt:VideoSourceConfiguration>{source}</tt:VideoSourceConfiguration>\
             <tt:VideoEncoderConfiguration>{video}</tt:VideoEncoderConfiguration></trt:Profiles>"
        ),
    }
}
