//! A network to cut: a namespace for each region and each hub on one bridge, and everything else at its other end. Where
//! namespaces are not permitted, relays on loopback that fall silent.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

/// The network, gone with this.
pub struct Network {
    /// Nothing where everybody is on loopback.
    spaces: Option<Spaces>,
    relays: Mutex<Vec<(String, SocketAddr, Arc<Relay>)>>,
}

struct Spaces {
    tag: String,
    net: u8,
    places: Vec<&'static str>,
}

impl Network {
    /// Builds one with these places.
    pub fn build(places: &[&'static str]) -> Self {
        let tag = format!("{:x}", std::process::id() & 0xffff);
        let net = free_net();
        let spaces = Spaces { tag, net, places: places.to_vec() };
        let built = spaces.build();
        Self { spaces: built.then_some(spaces), relays: Mutex::default() }
    }

    /// Whether it has namespaces.
    pub fn is_real(&self) -> bool {
        self.spaces.is_some()
    }

    /// The address of a place.
    pub fn address(&self, place: &str) -> IpAddr {
        match &self.spaces {
            Some(spaces) => spaces.address(place).into(),
            None => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// A command that runs at a place.
    pub fn at(&self, place: &str, program: &str) -> Command {
        match &self.spaces {
            Some(spaces) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", &spaces.name(place), program]);
                command
            }
            None => Command::new(program),
        }
    }

    /// How a place reaches what listens on loopback here, or at another place.
    pub fn way(&self, from: &str, to: SocketAddr) -> SocketAddr {
        let bind = match &self.spaces {
            Some(_) if !to.ip().is_loopback() => return to,
            Some(spaces) => spaces.middle(),
            None => Ipv4Addr::LOCALHOST,
        };
        let mut relays = self.relays.lock().unwrap();
        let known = relays.iter().find(|(whose, target, _)| *target == to && (self.is_real() || whose == from));
        if let Some((_, _, relay)) = known {
            return relay.address;
        }
        let relay = Relay::start(bind, to);
        let address = relay.address;
        relays.push((from.to_owned(), to, relay));
        address
    }

    /// Nothing goes from a place to these any more, nor back, and nobody is told.
    pub fn cut(&self, from: &str, to: &[SocketAddr]) {
        self.switch(from, to, true);
    }

    /// Everything goes again.
    pub fn heal(&self, from: &str, to: &[SocketAddr]) {
        self.switch(from, to, false);
    }

    fn switch(&self, from: &str, to: &[SocketAddr], cut: bool) {
        for target in to {
            match &self.spaces {
                Some(spaces) => spaces.filter(from, self.way(from, *target), cut),
                None => {
                    let relays = self.relays.lock().unwrap();
                    for (_, _, relay) in relays.iter().filter(|(whose, to, _)| whose == from && to == target) {
                        relay.silent.store(cut, SeqCst);
                    }
                }
            }
        }
    }
}

/// A number that no network here has: one that a killed run has left behind would take what is meant for ours.
fn free_net() -> u8 {
    let taken = Command::new("ip").args(["-4", "-brief", "address"]).output();
    let taken = taken.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let mut all = (0..200).map(|step| 20 + u8::try_from((std::process::id() + step) % 200).unwrap());
    all.find(|net| !taken.contains(&format!(" 10.{net}.0."))).expect("a network that is free")
}

impl Spaces {
    fn build(&self) -> bool {
        let bridge = self.bridge();
        let middle = format!("{}/24", self.middle());
        let mut well = run(&["link", "add", &bridge, "type", "bridge"])
            && run(&["addr", "add", &middle, "dev", &bridge])
            && run(&["link", "set", &bridge, "up"]);
        for (number, place) in self.places.iter().enumerate() {
            let (name, outside) = (self.name(place), format!("u{}p{number}", self.tag));
            let address = format!("{}/24", self.address(place));
            well = well
                && run(&["netns", "add", &name])
                && run(&["link", "add", &outside, "type", "veth", "peer", "name", "eth0", "netns", &name])
                && run(&["link", "set", &outside, "master", &bridge, "up"])
                && run(&["-n", &name, "addr", "add", &address, "dev", "eth0"])
                && run(&["-n", &name, "link", "set", "eth0", "up"])
                && run(&["-n", &name, "link", "set", "lo", "up"])
                && iptables(&name, &["-L", "-n"]);
        }
        if !well {
            self.tear_down();
        }
        well
    }

    fn tear_down(&self) {
        for place in &self.places {
            run(&["netns", "del", &self.name(place)]);
        }
        run(&["link", "del", &self.bridge()]);
    }

    fn bridge(&self) -> String {
        format!("u{}b", self.tag)
    }

    fn name(&self, place: &str) -> String {
        format!("usoryou-{}-{place}", self.tag)
    }

    /// Where everything is that is at no place.
    const fn middle(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, self.net, 0, 1)
    }

    fn address(&self, place: &str) -> Ipv4Addr {
        let number = self.places.iter().position(|one| *one == place).unwrap();
        Ipv4Addr::new(10, self.net, 0, 11 + u8::try_from(number).unwrap())
    }

    fn filter(&self, from: &str, to: SocketAddr, cut: bool) {
        let change = if cut { "-A" } else { "-D" };
        let (address, port) = (to.ip().to_string(), to.port().to_string());
        let name = self.name(from);
        iptables(&name, &[change, "OUTPUT", "-d", &address, "-p", "tcp", "--dport", &port, "-j", "DROP"]);
        iptables(&name, &[change, "INPUT", "-s", &address, "-p", "tcp", "--sport", &port, "-j", "DROP"]);
    }
}

impl Drop for Spaces {
    fn drop(&mut self) {
        self.tear_down();
    }
}

fn run(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).output().is_ok_and(|done| done.status.success())
}

fn iptables(space: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", space, "iptables", "-w"]).args(arguments);
    command.output().is_ok_and(|done| done.status.success())
}

/// Passes on what comes to an address, or keeps it to itself.
pub struct Relay {
    /// Where it listens.
    pub address: SocketAddr,
    silent: AtomicBool,
}

impl Relay {
    fn start(at: Ipv4Addr, to: SocketAddr) -> Arc<Self> {
        let listener = TcpListener::bind((at, 0)).unwrap();
        let relay = Arc::new(Self { address: listener.local_addr().unwrap(), silent: AtomicBool::new(false) });
        let shared = Arc::clone(&relay);
        std::thread::spawn(move || {
            for there in listener.incoming().map_while(Result::ok) {
                let relay = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let Ok(here) = TcpStream::connect_timeout(&to, Duration::from_secs(2)) else { return };
                    let (Ok(back), Ok(forth)) = (here.try_clone(), there.try_clone()) else { return };
                    let other = Arc::clone(&relay);
                    std::thread::spawn(move || pass(back, forth, &other));
                    pass(there, here, &relay);
                });
            }
        });
        relay
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, relay: &Relay) {
    let mut piece = [0; 16 << 10];
    while let Ok(size @ 1..) = from.read(&mut piece) {
        while relay.silent.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(50));
        }
        if to.write_all(&piece[..size]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
