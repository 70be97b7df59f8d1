//! The image as Kubernetes runs it: nobody's user, no capability, a root that cannot be written to. Built from what
//! `make stage` puts together and run by podman, in a storage of its own.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use crate::support::{
    certs::Authority,
    peer,
    peers::{self, Started, free_port},
    plain::Plain,
};

/// What was promised.
const LARGEST: u64 = 25_000_000;
const NAME: &str = "localhost/usoryou:tried";
/// As a pod of the chart is run.
const CONFINED: [&str; 6] = [
    "--rm",
    "--network=host",
    "--read-only",
    // podman would put places to write to at /tmp and /var/tmp.
    "--read-only-tmpfs=false",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
];

struct Image {
    podman: PathBuf,
    /// Before the command.
    ways: Vec<String>,
    /// After `run`.
    limits: &'static [&'static str],
}

impl Image {
    fn podman(&self) -> Command {
        let mut command = Command::new(&self.podman);
        command.args(&self.ways);
        command
    }

    fn run(&self, options: &[&str], words: &[&str]) -> Command {
        let mut command = self.podman();
        command.arg("run").args(CONFINED).args(self.limits).args(options).arg(NAME).args(words);
        command
    }
}

#[expect(clippy::print_stderr, reason = "the figures that docs/DEPLOY.md has")]
fn figure(text: &str) {
    eprintln!("image: {text}");
}

fn text(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

/// The image, built once; nothing where podman or the binary is missing, which is a failure where peers are required.
fn image() -> Option<&'static Image> {
    static IMAGE: OnceLock<Option<Image>> = OnceLock::new();
    IMAGE.get_or_init(build).as_ref()
}

fn build() -> Option<Image> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let staged = root.join("target/image");
    if !staged.join("rootfs/usoryou").is_file() {
        let required = std::env::var("USORYOU_PEERS").as_deref() == Ok("required");
        assert!(!required, "{} is missing: make stage", staged.display());
        return None;
    }
    let podman = peer("podman")?;
    let storage = Path::new(env!("CARGO_TARGET_TMPDIR")).join("podman");
    let ways = [
        format!("--root={}", storage.join("root").display()),
        format!("--runroot={}", storage.join("run").display()),
        "--storage-driver=vfs".to_owned(),
        "--cgroup-manager=cgroupfs".to_owned(),
    ];
    let mut image = Image { podman, ways: ways.to_vec(), limits: &[] };
    let built = image
        .podman()
        .args(["build", "--quiet", "--target=from-binary", "--tag", NAME, "--file"])
        .arg(root.join("Dockerfile"))
        .arg(&staged)
        .output()
        .unwrap();
    assert!(built.status.success(), "cannot build the image: {}", text(&built));
    let first = image.run(&[], &["--version"]).output().unwrap();
    if !first.status.success() {
        // crun raises limits, which some machines forbid; runc takes them as they are told.
        image.ways.push("--runtime=runc".to_owned());
        image.limits = &["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"];
        let second = image.run(&[], &["--version"]).output().unwrap();
        assert!(second.status.success(), "cannot run the image: {}; {}", text(&first), text(&second));
    }
    Some(image)
}

#[test]
fn the_image_is_small_and_holds_nothing_but_the_program() {
    let Some(image) = image() else { return };
    let told = image.podman().args(["image", "inspect", "--format", "{{.Size}} {{.User}}", NAME]).output().unwrap();
    let told = text(&told);
    let (size, user) = told.trim().split_once(' ').unwrap();
    figure(&format!("{size} bytes"));
    assert!(size.parse::<u64>().unwrap() < LARGEST, "{size} bytes");
    assert_eq!(user, "65532:65532", "a name could not be told from root by whoever runs it");
    let name = format!("usoryou-{}", free_port());
    let created = image.podman().args(["create", "--name", &name, NAME]).output().unwrap();
    assert!(created.status.success(), "{}", text(&created));
    let mut export = image.podman().args(["export", &name]).stdout(Stdio::piped()).spawn().unwrap();
    let listed = Command::new("tar").arg("t").stdin(export.stdout.take().unwrap()).output().unwrap();
    assert!(export.wait().unwrap().success());
    image.podman().args(["rm", &name]).output().unwrap();
    let files: Vec<String> = text(&listed).lines().filter(|name| !name.ends_with('/')).map(str::to_owned).collect();
    assert_eq!(files, ["etc/ssl/certs/ca-certificates.crt", "etc/usoryou/probes.yaml", "usoryou"]);
}

#[test]
fn exit_codes_and_authorities_are_those_of_the_program_outside() {
    let Some(image) = image() else { return };
    let Some(openssl) = peer("openssl") else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (cert, key) = authority.files(folder.path(), "localhost");
    let bundle = folder.path().join("ca.pem");
    fs::copy(authority.file(), &bundle).unwrap();
    fs::set_permissions(&bundle, fs::Permissions::from_mode(0o644)).unwrap();
    let port = free_port();
    let mut server = Started::new(
        Command::new(openssl)
            .args(["s_server", "-www", "-quiet", "-accept", &format!("127.0.0.1:{port}"), "-cert"])
            .arg(cert)
            .arg("-key")
            .arg(key),
        folder.path(),
    );
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    server.wait_for("listener", || std::net::TcpStream::connect(address).ok());
    let url = format!("https://localhost:{port}/");
    let mount = format!("--volume={}:/ca.pem:ro", bundle.display());

    let trusted = image.run(&[&mount, "--env=SSL_CERT_FILE=/ca.pem"], &["check", &url]).output().unwrap();
    assert_eq!(trusted.status.code(), Some(0), "{}", text(&trusted));
    assert!(text(&trusted).contains("UP 200"), "{}", text(&trusted));
    // The authorities that the image has do not include one of ours, and they are read: it is the certificate that is refused.
    let stranger = image.run(&[], &["check", &url]).output().unwrap();
    assert_eq!(stranger.status.code(), Some(1), "{}", text(&stranger));
    assert!(text(&stranger).contains("certificate_untrusted"), "{}", text(&stranger));
    let usage = image.run(&[], &["check", "--such"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2), "{}", text(&usage));
    let wrong = folder.path().join("wrong.yaml");
    fs::write(&wrong, "probe: []\n").unwrap();
    fs::set_permissions(&wrong, fs::Permissions::from_mode(0o644)).unwrap();
    let mount = format!("--volume={}:/etc/usoryou/probes.yaml:ro", wrong.display());
    let config = image.run(&[&mount], &["validate"]).output().unwrap();
    assert_eq!(config.status.code(), Some(2), "{}", text(&config));
    let hub = format!("http://127.0.0.1:{}", free_port());
    let nobody = image.run(&[], &["ask", "api", "--hub", &hub]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(3), "{}", text(&nobody));
}

#[test]
fn a_pod_writes_to_its_volume_alone_and_stops_when_it_is_told() {
    let Some(image) = image() else { return };
    let folder = tempfile::tempdir().unwrap();
    let site = Plain::start();
    let (config, data) = (folder.path().join("probes.yaml"), folder.path().join("data"));
    let probes = format!(
        "defaults: {{ interval: 200ms, timeout: 100ms }}\nparties: {{ api: {{ kind: us }}, internet: {{ kind: control }} }}\nprobes:\n  \
         - {{ name: api, party: api, check: {{ http: {{ url: \"http://{0}/\" }} }} }}\n  \
         - {{ name: control, party: internet, check: {{ http: {{ url: \"http://{0}/\" }} }} }}\n",
        site.address
    );
    fs::write(&config, probes).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
    fs::create_dir(&data).unwrap();
    // As `fsGroup` makes it.
    fs::set_permissions(&data, fs::Permissions::from_mode(0o777)).unwrap();
    let port = free_port();
    let name = format!("usoryou-{port}");
    let options = [
        format!("--name={name}"),
        format!("--env=USORYOU_LISTEN=127.0.0.1:{port}"),
        format!("--volume={}:/etc/usoryou/probes.yaml:ro", config.display()),
        format!("--volume={}:/var/lib/usoryou", data.display()),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let began = Instant::now();
    let mut running = Started::new(&mut image.run(&options, &[]), folder.path());
    let ours = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    running.wait_for("/healthz", || peers::get(ours, "/healthz").filter(|answer| answer.status == 200));
    let lives = began.elapsed();
    running.wait_for("/readyz", || peers::get(ours, "/readyz").filter(|answer| answer.status == 200));
    figure(&format!("/healthz {lives:?} after `podman run`, /readyz after {:?}", began.elapsed()));

    let pid = image.podman().args(["inspect", "--format", "{{.State.Pid}}", &name]).output().unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", text(&pid).trim())).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    // By its numbers inside of a user's namespace it is somebody else; it is root nowhere.
    assert!(field("Uid:").iter().all(|uid| uid != "0"), "{status}");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(set), ["0000000000000000"], "{set}");
    }
    assert_eq!(field("NoNewPrivs:"), ["1"]);
    let kept: Vec<String> =
        fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert!(kept.iter().any(|name| name == "usoryou.db"), "{kept:?}");
    let changed = image.podman().args(["diff", "--format=json", &name]).output().unwrap();
    assert!(changed.status.success(), "{}", text(&changed));
    // The places where its volumes are hung in, made before it began; nothing that it wrote.
    let changed: serde_json::Value = serde_json::from_slice(&changed.stdout).unwrap_or_default();
    let added = changed["added"].as_array().cloned().unwrap_or_default();
    let ours = |path: &str| !["/dev", "/proc", "/sys", "/run", "/etc"].iter().any(|made| path.starts_with(made));
    let strange: Vec<_> = added.iter().filter_map(|path| path.as_str()).filter(|path| ours(path)).collect();
    assert!(strange.is_empty(), "{strange:?}");

    let told = Instant::now();
    let stopped = image.podman().args(["stop", "--time=10", &name]).output().unwrap();
    assert!(stopped.status.success(), "{}", text(&stopped));
    assert!(told.elapsed() < Duration::from_secs(8), "it had to be killed");
    assert!(running.log().contains("stopping"), "{}", running.log());
}

#[test]
fn a_pod_without_a_volume_says_what_it_cannot_do() {
    let Some(image) = image() else { return };
    let out = image.run(&["--env=USORYOU_LISTEN=127.0.0.1:0"], &[]).output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{}", text(&out));
    assert!(text(&out).contains("/var/lib/usoryou/usoryou.db"), "{}", text(&out));
}
