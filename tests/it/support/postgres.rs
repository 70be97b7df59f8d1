//! A real Postgres: made in a folder of its own, started as somebody who is not root, ended with the tests.

use std::{
    io::{Read as _, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    time::{Duration, Instant},
};

use super::peers::free_port;

/// No step takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server; what it knows is gone with it.
pub struct Postgres {
    programs: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
    settings: Vec<String>,
}

/// An empty database on the server that all tests share; nothing where Postgres is not installed.
pub fn database() -> Option<String> {
    static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
    SHARED.get_or_init(|| Postgres::start(&[])).as_ref().map(Postgres::database)
}

/// Runs SQL by itself and gives what it says, without headings.
pub fn ask(url: &str, sql: &str) -> String {
    let mut psql = Command::new(programs().unwrap().join("psql"));
    let asked = psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql, url]).output().unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    String::from_utf8_lossy(&asked.stdout).trim().to_owned()
}

impl Postgres {
    /// Starts a server with settings; nothing where Postgres is not installed.
    pub fn start(settings: &[&str]) -> Option<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        if let Some((user, group)) = somebody() {
            for path in [folder.path(), &data] {
                std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
            }
        }
        let mut init = as_somebody(programs.join("initdb"));
        init.args(["--no-sync", "--auth=trust", "--username=usoryou", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data);
        let made = init.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Self { programs, folder, port: free_port(), child: None, settings };
        server.go_on();
        Some(server)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A new empty database: its address.
    pub fn database(&self) -> String {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("d{}", NEXT.fetch_add(1, SeqCst));
        let mut create = Command::new(self.programs.join("createdb"));
        create.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "usoryou", &name]);
        let created = create.output().unwrap();
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        format!("postgres://usoryou@127.0.0.1:{}/{name}", self.port)
    }

    /// Its port, on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs SQL and gives what it says, without headings.
    pub fn ask(&self, url: &str, sql: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        let asked = psql.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, url]).output().unwrap();
        assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8_lossy(&asked.stdout).trim().to_owned()
    }

    /// Starts it again, with what it knew.
    pub fn go_on(&mut self) {
        let log = self.folder.path().join("log");
        let out = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = as_somebody(self.programs.join("postgres"));
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        let always = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            "full_page_writes=off",
            "max_connections=200",
            "shared_buffers=64MB",
            "log_checkpoints=off",
        ];
        for setting in always.into_iter().chain(self.settings.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        self.child = Some(spawn_for_good(command));
        let until = Instant::now() + PATIENCE;
        let mut ready = Command::new(self.programs.join("pg_isready"));
        ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "usoryou"]);
        while !ready.status().unwrap().success() {
            assert!(Instant::now() < until, "{}", read(&log));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Speaks TLS from now on.
    pub fn show_certificate(&self, certificate: &Path, key: &Path) {
        for (file, name) in [(certificate, "server.crt"), (key, "server.key")] {
            let place = self.data().join(name);
            std::fs::copy(file, &place).unwrap();
            std::fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            if let Some((user, group)) = somebody() {
                std::os::unix::fs::chown(&place, Some(user), Some(group)).unwrap();
            }
        }
        let settings = self.data().join("postgresql.conf");
        std::fs::OpenOptions::new().append(true).open(settings).unwrap().write_all(b"\nssl = on\n").unwrap();
        self.reload();
    }

    /// Lets nobody in without a password from now on.
    pub fn ask_for_passwords(&self) {
        std::fs::write(
            self.data().join("pg_hba.conf"),
            "host all all 0.0.0.0/0 scram-sha-256\nhost all all ::0/0 scram-sha-256\n",
        )
        .unwrap();
        self.reload();
    }

    fn reload(&self) {
        signal("HUP", &[self.child.as_ref().unwrap().id()]);
        std::thread::sleep(Duration::from_millis(500));
    }

    /// Stops it as if its machine had died.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal("QUIT", &[child.id()]);
            child.wait().unwrap();
        }
    }

    /// Nothing of it answers any more, and nothing says so.
    pub fn pause(&self) {
        signal("STOP", &self.processes());
    }

    /// Goes on after a pause.
    pub fn wake(&self) {
        signal("CONT", &self.processes());
    }

    fn processes(&self) -> Vec<u32> {
        let Some(first) = self.child.as_ref().map(Child::id) else { return Vec::new() };
        let children = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent: u32 = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
            (parent == first).then(|| entry.file_name().to_str()?.parse().ok())?
        });
        std::iter::once(first).chain(children).collect()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.wake();
        self.stop();
    }
}

fn signal(name: &str, processes: &[u32]) {
    let processes = processes.iter().map(u32::to_string);
    // One of them may have ended meanwhile.
    let _ = Command::new("kill").args(["-s", name]).args(processes).stderr(Stdio::null()).status();
}

/// Where the programs of the newest installed version are.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    found.retain(|folder| folder.join("postgres").is_file());
    found.sort();
    // The same words and the same failure as for other peers.
    found.pop().or_else(|| super::peer("initdb").and_then(|initdb| initdb.parent().map(Path::to_owned)))
}

/// Whom Postgres runs as where the tests run as root, which it refuses to.
fn somebody() -> Option<(u32, u32)> {
    let mine = std::fs::metadata("/proc/self").unwrap();
    if std::os::unix::fs::MetadataExt::uid(&mine) != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody"))
}

fn as_somebody(program: PathBuf) -> Command {
    let mut command = Command::new("setpriv");
    if let Some((user, group)) = somebody() {
        command.args([&format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups"]);
    }
    command.args(["--pdeathsig=QUIT"]).arg(program).env("LC_ALL", "C").process_group(0);
    command
}

/// Starts a process that ends with this one, whichever way that ends: by a thread that stays, because that is whose end the
/// system tells of.
fn spawn_for_good(mut command: Command) -> Child {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        send.send(command.spawn().unwrap()).unwrap();
        loop {
            std::thread::park();
        }
    });
    receive.recv().unwrap()
}

fn read(file: &Path) -> String {
    let mut text = String::new();
    let _ = std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text));
    text
}
